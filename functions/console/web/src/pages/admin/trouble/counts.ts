// Signs of trouble, counted by hour over a day. How much is read is bounded, and what the bound cuts off is said.
import { useQueries } from "@tanstack/react-query";
import { client, type Schemas } from "../../../session/client.ts";
import type { EventType } from "../../events/types.ts";

/** Hours that are looked at, the present one included. */
export const HOURS = 24;
const HOUR = 3_600_000;
const PAGE = 100;
const MOST_PAGES = 10;
/** From this many failed sign-ins on, an account is made to wait. */
const TOO_MANY = 5;

type AuditEvent = Schemas["AuditEventItem"];

/** The events of some types in the last day. */
interface Found {
  items: AuditEvent[];
  /** Before this time there are more than were read. */
  cutAt: number | undefined;
}

/** What one plot shows: a number for each hour, the oldest first. */
export interface Series {
  name: "failed" | "locked" | "reuse" | "refused";
  type: EventType;
  hours: number[];
  cutAt: number | undefined;
}

/** Returns the start of each hour, the oldest first. */
export function hoursUntil(now: number): number[] {
  const start = new Date(now);
  start.setMinutes(0, 0, 0);
  return Array.from({ length: HOURS }, (_, index) => start.getTime() - (HOURS - 1 - index) * HOUR);
}

const TYPES = ["login_failed", "mfa_failed", "refresh_token_reuse", "administration_refused"] as const;
type Watched = (typeof TYPES)[number];

async function find(type: Watched, since: number): Promise<Found> {
  const query = { type, from: new Date(since).toISOString(), limit: PAGE };
  const items: AuditEvent[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await client.get("/v1/admin/audit", { query: { ...query, cursor } });
    items.push(...answer.items);
    if (!answer.next_cursor) return { items, cutAt: undefined };
    cursor = answer.next_cursor;
  }
  return { items, cutAt: Date.parse(items.at(-1)?.at ?? "") || since };
}

/** The four series over these hours; read anew every five minutes. */
export function useTrouble(hours: readonly number[]) {
  const since = hours[0] ?? 0;
  const results = useQueries({
    queries: TYPES.map((type) => {
      const queryFn = () => find(type, since);
      return { queryKey: ["trouble", type, since], queryFn, refetchInterval: 300_000, placeholderData: keep };
    }),
  });
  const [passwords, codes, reuse, refused] = results.map(({ data }) => data);
  const failed = results.find(({ error }) => error);
  const refetch = () => results.map((result) => result.refetch());
  const isThere = passwords && codes && reuse && refused;
  const series = isThere ? seriesOf({ passwords, codes, reuse, refused }, hours) : undefined;
  return { error: failed?.error, refetch, series };
}

function keep(before: Found | undefined): Found | undefined {
  return before;
}

type All = Record<"passwords" | "codes" | "reuse" | "refused", Found>;

function seriesOf({ passwords, codes, reuse, refused }: All, hours: readonly number[]): Series[] {
  const cut = [passwords.cutAt, codes.cutAt].filter((at) => at !== undefined);
  const cutAt = cut.length > 0 ? Math.max(...cut) : undefined;
  const failed = [...passwords.items, ...codes.items];
  return [
    { name: "failed", type: "login_failed", hours: counts(failed, hours), cutAt },
    { name: "locked", type: "login_failed", hours: waiting(failed, hours), cutAt },
    { name: "reuse", type: "refresh_token_reuse", hours: counts(reuse.items, hours), cutAt: reuse.cutAt },
    { name: "refused", type: "administration_refused", hours: counts(refused.items, hours), cutAt: refused.cutAt },
  ];
}

function hourOf({ at }: AuditEvent, hours: readonly number[]): number {
  const time = Date.parse(at);
  return hours.findLastIndex((start) => start <= time);
}

function counts(items: readonly AuditEvent[], hours: readonly number[]): number[] {
  const all = hours.map(() => 0);
  for (const event of items) {
    const hour = hourOf(event, hours);
    if (hour >= 0) all[hour] = (all[hour] ?? 0) + 1;
  }
  return all;
}

/** Returns for each hour the accounts with too many failed sign-ins in it. */
function waiting(items: readonly AuditEvent[], hours: readonly number[]): number[] {
  return hours.map((_, index) => {
    const byAccount = new Map<string, number>();
    for (const event of items) {
      if (hourOf(event, hours) === index) byAccount.set(event.user_id, (byAccount.get(event.user_id) ?? 0) + 1);
    }
    return [...byAccount.values()].filter((count) => count >= TOO_MANY).length;
  });
}
