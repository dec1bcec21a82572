// The broker session that ends next, with how long it has.
import { Link } from "react-router";
import { useNow } from "../components/time.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { formatLocale } from "../messages/language.ts";
import { nextToEnd, useAccounts } from "./trading-state.ts";

const MINUTE = 60_000;

/** Returns "2 h 10 m" of milliseconds, in the language of the page. */
export function shortDuration(milliseconds: number): string {
  const minutes = Math.max(0, Math.floor(milliseconds / MINUTE));
  const part = (value: number, unit: string) =>
    new Intl.NumberFormat(formatLocale(), { style: "unit", unit, unitDisplay: "narrow" }).format(value);
  if (minutes < 60) return part(minutes, "minute");
  return `${part(Math.floor(minutes / 60), "hour")} ${part(minutes % 60, "minute")}`;
}

/** Returns the name of a broker or provider as people write it. */
export function brokerName(broker: string): string {
  const words = broker.replaceAll("-", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The clock of the header; nothing where no account has a session. */
export function SessionClock() {
  const t = useText(core);
  const present = useNow();
  const account = nextToEnd(useAccounts().data);
  if (!account?.session_expires_at) return null;
  const left = Date.parse(account.session_expires_at) - present;
  const broker = brokerName(account.broker);
  return (
    <Link to="/trading-accounts" className="session-clock" title={t("clock.label")}>
      <span className="visually-hidden">{t("clock.label")}: </span>
      {left > 0 ? t("clock.ends", { broker, time: shortDuration(left) }) : t("clock.ended", { broker })}
    </Link>
  );
}
