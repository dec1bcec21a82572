// A small plot: one bar an hour, a scale from zero to a round number. Its text alternative says the finding.
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { formatLocale } from "../../../messages/language.ts";
import { HOURS, type Series } from "./counts.ts";

const STEP = 20;
const BAR = 14;
const HEIGHT = 56;
const WIDTH = HOURS * STEP;

/** Returns the end of the scale: at least 4, then 1, 2 or 5 with zeros. */
export function scaleEnd(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  const round = [1, 2, 5, 10].map((factor) => factor * power).find((end) => end >= most);
  return Math.max(4, round ?? most);
}

/** Returns an hour as people write it. */
export function hourText(at: number | undefined): string {
  const options: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return at === undefined ? "" : new Intl.DateTimeFormat(formatLocale(), options).format(at);
}

/** The bars. */
export function Plot({ series, hours }: { series: Series; hours: readonly number[] }) {
  const text = useFinding(series, hours);
  const end = scaleEnd(Math.max(...series.hours));
  return (
    <div className="plot-frame">
      <span className="plot-end" aria-hidden="true">
        {new Intl.NumberFormat(formatLocale()).format(end)}
      </span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="plot" role="img" aria-label={text}>
        <path d={`M0 .5H${WIDTH}`} className="plot-rule" />
        <path d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} className="plot-base" />
        {series.hours.map((count, index) => {
          const height = (count / end) * (HEIGHT - 1);
          return (
            <rect
              key={hours[index]}
              x={index * STEP + (STEP - BAR) / 2}
              y={HEIGHT - 1 - height}
              width={BAR}
              height={height}
              className="plot-bar"
            />
          );
        })}
      </svg>
    </div>
  );
}

/** The hours under all plots: every sixth, and the present one. */
export function Axis({ hours }: { hours: readonly number[] }) {
  return (
    <div className="plot-axis" aria-hidden="true">
      {[0, 6, 12, 18].map((index) => (
        <span key={index}>{hourText(hours[index])}</span>
      ))}
    </div>
  );
}

function useFinding(series: Series, hours: readonly number[]): string {
  const t = useText(admin);
  const title = t(`plot.${series.name}`);
  const count = series.hours.reduce((sum, each) => sum + each, 0);
  if (count === 0) return t("plot.none", { title });
  const most = Math.max(...series.hours);
  return t("plot.finding", { title, count, hour: hourText(hours[series.hours.indexOf(most)]), most });
}
