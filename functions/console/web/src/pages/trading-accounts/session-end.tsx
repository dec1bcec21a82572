// The end of a broker's session as a clock: how long it still runs, until when here, and until when in the market.
import { clockTime, useNow } from "../../components/time.tsx";
import { shortDuration } from "../../frame/session-clock.tsx";
import { useText } from "../../messages/catalogue.ts";
import { formatLocale } from "../../messages/language.ts";
import { trading } from "../../messages/trading/index.ts";
import { marketZone } from "./state.ts";

/** Returns the time of day in the zone of a market with the zone's name; undefined where it is the reader's own zone. */
export function marketTime(at: number, broker: string): string | undefined {
  const zone = marketZone(broker);
  if (!zone || offset(at, zone) === offset(at, undefined)) return undefined;
  const parts: Intl.DateTimeFormatOptions = {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  };
  return new Intl.DateTimeFormat(formatLocale(), { ...parts, timeZone: zone }).format(at);
}

function offset(at: number, timeZone: string | undefined): string {
  const format = new Intl.DateTimeFormat("en", { dateStyle: "short", timeStyle: "short", timeZone });
  return format.format(at);
}

/** How long a session runs, counted down. */
export function SessionEnd({ at, broker }: { at: string; broker: string }) {
  const t = useText(trading);
  const present = useNow();
  const end = Date.parse(at);
  const market = marketTime(end, broker);
  return (
    <div className="session-end">
      <span className="muted small">{t("session.ends")}</span>
      <span className="session-left">{shortDuration(end - present)}</span>
      <time className="muted small" dateTime={at}>
        {t("session.until", { time: clockTime(end, present) })}
        {market && <> · {t("session.market", { time: market })}</>}
      </time>
    </div>
  );
}
