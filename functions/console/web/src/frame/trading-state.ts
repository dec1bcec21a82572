// Whether trading is open, and the sessions at brokers: what the header shows on every page, in every tab alike.
import { type QueryClient, useQuery } from "@tanstack/react-query";
import { client, type Schemas } from "../session/client.ts";

/** The keys of what is cached here. */
export const STATUS = ["status"] as const;
export const ACCOUNTS = ["trading-accounts"] as const;
export const TRADING = ["trading"] as const;

/** What the service says of the session. */
export type Status = Schemas["StatusResponse"];

/** An account at a broker. */
export type TradingAccount = Schemas["TradingAccountResponse"];

/** What became of one account: how its session ended, and its resting orders. */
export type FrozenAccount = Schemas["FrozenAccountResponse"];

/** The session of this page, and what its owner may do. */
export function useStatus() {
  return useQuery({
    queryKey: STATUS,
    queryFn: (): Promise<Status> => client.get("/v1/auth/status"),
    refetchInterval: 60_000,
  });
}

/** The owner's accounts at brokers. */
export function useAccounts() {
  return useQuery({ queryKey: ACCOUNTS, queryFn: (): Promise<TradingAccount[]> => client.get("/v1/trading-accounts") });
}

/** Whether trading is open; `unknown` before the first answer. */
export type TradingState =
  | { state: "unknown" }
  | { state: "open" }
  | { state: "frozen"; since: string; by: "self" | "admin" | "everybody"; freezes: readonly Freeze[] };

/** A freeze that stands: whose switch it is, since when, until when and why. */
export type Freeze = Schemas["FreezeItem"];

/** The owner's state of trading, which is asked for again every minute. */
export function useTrading() {
  return useQuery({
    queryKey: TRADING,
    queryFn: () => client.get("/v1/trading-accounts/freeze"),
    refetchInterval: 60_000,
  });
}

/** Returns the state of trading that an answer tells. */
export function tradingState(answer: Schemas["TradingStateResponse"] | undefined): TradingState {
  if (!answer) return { state: "unknown" };
  if (answer.status === "active") return { state: "open" };
  const { frozen_at: since, frozen_by: by, freezes } = answer;
  return { state: "frozen", since: since ?? "", by: by ?? "self", freezes };
}

/** What the owner proves it with: the code of a second factor where there is one, else the password. */
export type Proof = { password: string } | { code: string };

/** Stops every reading of the owner's broker credentials, and cancels resting orders where that is asked for. */
export function freeze({ cancelOrders }: { cancelOrders: boolean }) {
  // Without a body it is the same click as ever.
  return client.post("/v1/trading-accounts/freeze", cancelOrders ? { body: { cancel_orders: true } } : {});
}

/** Lets services read them again. */
export function unfreeze(proof: Schemas["StepUpRequest"]) {
  return client.post("/v1/trading-accounts/unfreeze", { body: proof });
}

const channel = new BroadcastChannel("portcullis-console");

/** Asks again for what the header shows, here and in the other tabs. */
export function tradingChanged(queries: QueryClient): void {
  channel.postMessage("trading");
  void queries.invalidateQueries();
}

/** Asks again when another tab changed the state of trading; returns what ends that. */
export function followOtherTabs(queries: QueryClient): () => void {
  const changed = () => void queries.invalidateQueries();
  channel.addEventListener("message", changed);
  return () => channel.removeEventListener("message", changed);
}

/** Returns the account whose session ends next; undefined where none has one. */
export function nextToEnd(accounts: readonly TradingAccount[] | undefined): TradingAccount | undefined {
  const running = accounts?.filter((account) => account.session_expires_at && account.status !== "disabled") ?? [];
  return running.sort((a, b) => String(a.session_expires_at).localeCompare(String(b.session_expires_at)))[0];
}
