// Times as people say them: relative up to a day, then the date; always exact on hover and for programs.
import { useSyncExternalStore } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { formatLocale, useLocale } from "../messages/language.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// One clock for all times of a page, which ticks while any is shown.
const listeners = new Set<() => void>();
let now = Date.now();
let ticking: ReturnType<typeof setInterval> | undefined;

function listen(listener: () => void): () => void {
  listeners.add(listener);
  now = Date.now();
  ticking ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 15_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
}

/** The present, a quarter of a minute old at most, in milliseconds; renders again as it goes on. */
export function useNow(): number {
  return useSyncExternalStore(listen, () => now);
}

/** Returns "5 minutes ago" or "in 2 hours"; undefined from a day on. */
export function relative(at: number, from: number): string | undefined {
  const away = at - from;
  const distance = Math.abs(away);
  if (distance >= DAY) return undefined;
  const words = new Intl.RelativeTimeFormat(formatLocale(), { numeric: "auto" });
  if (distance < MINUTE) return words.format(0, "second");
  if (distance < HOUR) return words.format(Math.trunc(away / MINUTE), "minute");
  return words.format(Math.trunc(away / HOUR), "hour");
}

/** Returns the date and time in the zone of the reader, or of a market. */
export function absolute(at: number, zone?: string): string {
  const format = new Intl.DateTimeFormat(formatLocale(), { dateStyle: "medium", timeStyle: "short", timeZone: zone });
  return format.format(at);
}

/** Returns the time of day, and the day too where it is another one. */
export function clockTime(at: number, from: number): string {
  const isToday = new Date(at).toDateString() === new Date(from).toDateString();
  const clock: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const options: Intl.DateTimeFormatOptions = isToday ? clock : { ...clock, day: "numeric", month: "short" };
  return new Intl.DateTimeFormat(formatLocale(), options).format(at);
}

interface TimeProps {
  value: string | null | undefined;
  /** `clock` is the time of day, `date` the day alone. */
  as?: "relative" | "clock" | "date";
}

/** A time of the service. Nothing there is "never". */
export function Time({ value, as = "relative" }: TimeProps) {
  useLocale();
  const t = useText(core);
  const present = useNow();
  if (!value) return <span className="muted">{t("never")}</span>;
  const at = Date.parse(value);
  return (
    <time dateTime={value} title={exact(at)} className="nowrap">
      {written(at, present, as)}
    </time>
  );
}

function exact(at: number): string {
  return new Intl.DateTimeFormat(formatLocale(), { dateStyle: "full", timeStyle: "long" }).format(at);
}

function written(at: number, present: number, as: "relative" | "clock" | "date"): string {
  if (as === "clock") return clockTime(at, present);
  const day = new Intl.DateTimeFormat(formatLocale(), { dateStyle: "medium" });
  return as === "date" ? day.format(at) : (relative(at, present) ?? absolute(at));
}

/** Returns what writes seconds as "42 seconds" or "2 min 5 s". */
export function useDuration(): (seconds: number) => string {
  const t = useText(core);
  return (seconds) =>
    seconds < 100
      ? t("seconds", { count: seconds })
      : t("minutesSeconds", { minutes: Math.floor(seconds / 60), seconds: seconds % 60 });
}
