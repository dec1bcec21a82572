// What stands in the way of trading today, and what else wants attention, from what the service says of each part.
import type { User } from "portcullis-client";
import type { Provider } from "../../components/provider-strip.tsx";
import type { Status, TradingAccount, TradingState } from "../../frame/trading-state.ts";

const HOUR = 3_600_000;
/** A session that ends within this time is worth renewing now. */
const SOON = HOUR;
/** A password that expires within this time is worth changing now. */
const PASSWORD_SOON = 14 * 24 * HOUR;

/** One thing to do. Those that stop trading come first. */
export type Todo = { stops: boolean } & (
  | { is: "link" | "factor" | "email" }
  | { is: "frozen"; since: string }
  | { is: "expired" | "pending" | "rejected" | "ending"; account: TradingAccount }
  | { is: "provider"; provider: Provider }
  | { is: "password"; at: string }
);

/** What the page of the day looks at. */
export interface Situation {
  accounts: readonly TradingAccount[];
  trading: TradingState;
  providers: readonly Provider[];
  status: Status;
  user: User;
  now: number;
}

/** Returns what needs doing, the most pressing first. */
export function whatNeedsDoing(situation: Situation): Todo[] {
  const { accounts, trading, providers, status, user, now } = situation;
  const todos: Todo[] = [];
  if (trading.state === "frozen") todos.push({ is: "frozen", since: trading.since, stops: true });
  if (accounts.length === 0) todos.push({ is: "link", stops: true });
  todos.push(...accounts.flatMap((account) => ofAccount(account, now)));
  const own = new Set(accounts.map(({ broker }) => broker));
  for (const provider of providers) {
    if (!own.has(provider.name) || provider.status === "healthy") continue;
    todos.push({ is: "provider", provider, stops: provider.status === "unhealthy" });
  }
  if (!status.mfa_enabled) todos.push({ is: "factor", stops: false });
  if (user.email && !user.email_verified) todos.push({ is: "email", stops: false });
  const expiry = status.password_expires_at;
  if (expiry && Date.parse(expiry) - now < PASSWORD_SOON) todos.push({ is: "password", at: expiry, stops: false });
  return todos.sort((a, b) => Number(b.stops) - Number(a.stops));
}

function ofAccount(account: TradingAccount, now: number): Todo[] {
  const { status, session_expires_at: end } = account;
  if (status === "expired" || status === "pending" || status === "rejected") {
    return [{ is: status, account, stops: true }];
  }
  const isEnding = status === "active" && end && Date.parse(end) - now < SOON;
  return isEnding ? [{ is: "ending", account, stops: false }] : [];
}
