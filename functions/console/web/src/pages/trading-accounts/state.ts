// What an account at a broker looks like to people: its name, its state in words, and the market it trades in.
import type { IconName } from "../../components/icon.tsx";
import type { Tone } from "../../components/states.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import type { TradingAccount } from "../../frame/trading-state.ts";
import type { Schemas } from "../../session/client.ts";

type Status = TradingAccount["status"];

/** How a status is shown; red is for accounts that nothing can be traded with until somebody acts. */
export const STATUS_LOOK: Record<Status, { tone: Tone; icon?: IconName }> = {
  active: { tone: "success", icon: "check" },
  pending: { tone: "warning", icon: "warning" },
  expired: { tone: "danger", icon: "stop" },
  rejected: { tone: "danger", icon: "stop" },
  disabled: { tone: "neutral", icon: "pause" },
};

/** What the owner calls an account, or the broker's name. */
export function accountName(account: Pick<TradingAccount, "label" | "broker">): string {
  return account.label || brokerName(account.broker);
}

/** The time zone of the market that a broker trades at. */
export function marketZone(broker: string): string | undefined {
  return broker === "kite" ? "Asia/Kolkata" : broker.startsWith("alpaca") ? "America/New_York" : undefined;
}

/** Whether the owner has to log in at the broker before the account can be used. */
export function needsLogin(account: TradingAccount): boolean {
  return Boolean(account.login_url) && (account.status === "pending" || account.status === "expired");
}

/** What the broker said of the credentials. */
export type Verification = Schemas["CredentialVerificationResponse"];

/** Returns which sentence an account needs; undefined where nothing is to be done. */
export function adviceOf(account: TradingAccount) {
  switch (account.status) {
    case "pending":
      return account.login_url ? "advice.pendingLogin" : "advice.pending";
    case "active":
      return account.login_url ? undefined : "advice.noSessions";
    default:
      return `advice.${account.status}` as const;
  }
}
