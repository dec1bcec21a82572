// Thirty days of one service as a strip of cells. It is a picture; what it shows is said in its text alternative, and stands
// in the table of the page.
import { useText } from "../../messages/catalogue.ts";
import { formatLocale } from "../../messages/language.ts";
import { readers } from "../../messages/readers/index.ts";
import { daysOfNewPurposes, type Reader } from "./readings.ts";

const CELL = 9;
const STEP = 11;
const TOP = 8;
const HEIGHT = 18;

/** Returns how dark a cell is, in four steps of the most readings that any service had on a day. */
function step(count: number, most: number): number {
  return count === 0 ? 0 : Math.max(1, Math.ceil(Math.sqrt(count / most) * 4));
}

interface StripProps {
  reader: Reader;
  days: readonly Date[];
  /** The most readings of any service on a day: all strips have one scale. */
  most: number;
}

/** The strip. */
export function Strip({ reader, days, most }: StripProps) {
  const text = useFinding()(reader, days);
  const marks = new Set(daysOfNewPurposes(reader));
  if (reader.newOn !== undefined) marks.add(reader.newOn);
  return (
    <svg viewBox={`0 0 ${days.length * STEP - 2} ${TOP + HEIGHT}`} className="strip" role="img" aria-label={text}>
      {days.map((day, index) => (
        <g key={day.getTime()} transform={`translate(${index * STEP} 0)`}>
          {marks.has(index) && <path d="M4.5 6.5L1 1h7z" className="strip-mark" />}
          <rect
            y={TOP}
            width={CELL}
            height={HEIGHT}
            rx="1.5"
            className={`strip-cell strip-${step(reader.days[index] ?? 0, most)}`}
          />
        </g>
      ))}
    </svg>
  );
}

/** Returns a day as people write it in a sentence. */
export function dayText(day: Date | undefined): string {
  return day ? new Intl.DateTimeFormat(formatLocale(), { day: "numeric", month: "long" }).format(day) : "";
}

/** Returns what says the finding of a strip. */
function useFinding(): (reader: Reader, days: readonly Date[]) => string {
  const t = useText(readers);
  return (reader, days) => {
    const most = Math.max(...reader.days);
    const day = dayText(days[reader.days.indexOf(most)]);
    const parts = [t("finding", { service: reader.service, count: reader.readings.length, day, most })];
    if (reader.newOn !== undefined) parts.push(t("findingNew", { day: dayText(days[reader.newOn]) }));
    for (const index of daysOfNewPurposes(reader)) parts.push(t("findingNewPurpose", { day: dayText(days[index]) }));
    return parts.join(" ");
  };
}
