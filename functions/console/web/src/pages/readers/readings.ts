// The readings of one's broker credentials in the last 30 days, counted by service and day. How much is asked of the service
// is bounded, and what the bound cuts off is said.
import { useQuery } from "@tanstack/react-query";
import { client, type Schemas } from "../../session/client.ts";

/** Days that are looked at, today included. */
export const DAYS = 30;
const PAGE = 100;
/** Requests for the readings of these days, and for those before, by which what is new is told. */
const MOST_PAGES = 20;
const MOST_PAGES_BEFORE = 5;

/** One reading. */
export type Reading = Schemas["AuditEventItem"];

/** A purpose that a service gave, and since when: `newOn` is a day of the strip. */
export interface Purpose {
  name: string | undefined;
  count: number;
  newOn: number | undefined;
}

/** What one service read. */
export interface Reader {
  service: string;
  readings: Reading[];
  /** Readings on each day, the oldest first. */
  days: number[];
  purposes: Purpose[];
  /** The day on which the service was there for the first time, if it is one of these. */
  newOn: number | undefined;
}

/** All readers, and what the bound did to them. */
export interface Readings {
  readers: Reader[];
  /** Midnight at the start of each day, here. */
  days: Date[];
  total: number;
  /** The time of the oldest reading that was got, where there are more. */
  cutAt: string | undefined;
  /** How many earlier ones what is new was compared with, and whether these were all. */
  before: { count: number; isWhole: boolean };
}

interface Batch {
  items: Reading[];
  isWhole: boolean;
}

async function batch(range: { from?: string; to?: string }, mostPages: number): Promise<Batch> {
  const items: Reading[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const answer = await client.get("/v1/audit", {
      query: { type: "credentials_read", limit: PAGE, ...range, cursor },
    });
    items.push(...answer.items);
    if (!answer.next_cursor) return { items, isWhole: true };
    cursor = answer.next_cursor;
  }
  return { items, isWhole: false };
}

/** The readings of the last 30 days. */
export function useReadings() {
  return useQuery({ queryKey: ["readings"], queryFn: read });
}

async function read(): Promise<Readings> {
  const days = lastDays(new Date());
  const from = days[0]?.toISOString() ?? "";
  const within = await batch({ from }, MOST_PAGES);
  // Of readings that were cut off nothing can be compared.
  const before = within.isWhole ? await batch({ to: from }, MOST_PAGES_BEFORE) : { items: [], isWhole: false };
  return {
    readers: readersOf(within, before.items, days),
    days,
    total: within.items.length,
    cutAt: within.isWhole ? undefined : within.items.at(-1)?.at,
    before: { count: before.items.length, isWhole: before.isWhole },
  };
}

function lastDays(now: Date): Date[] {
  return Array.from({ length: DAYS }, (_, index) => {
    return new Date(now.getFullYear(), now.getMonth(), now.getDate() - (DAYS - 1 - index));
  });
}

function dayOf(at: string, days: readonly Date[]): number {
  const time = Date.parse(at);
  return days.findLastIndex((day) => day.getTime() <= time);
}

function grouped<Key>(readings: readonly Reading[], keyOf: (reading: Reading) => Key): Map<Key, Reading[]> {
  const groups = new Map<Key, Reading[]>();
  for (const reading of readings) {
    const key = keyOf(reading);
    const group = groups.get(key);
    if (group) group.push(reading);
    else groups.set(key, [reading]);
  }
  return groups;
}

function readersOf(within: Batch, before: readonly Reading[], days: readonly Date[]): Reader[] {
  const byService = grouped(within.items, ({ service }) => service ?? "");
  const readers = [...byService].map(([service, readings]) => {
    const earlier = before.filter((reading) => reading.service === service);
    return readerOf(service, readings, within.isWhole ? earlier : undefined, days);
  });
  return readers.sort((a, b) => b.readings.length - a.readings.length);
}

/** `earlier` is undefined where it is not known what was before. */
function readerOf(
  service: string,
  readings: Reading[],
  earlier: readonly Reading[] | undefined,
  days: readonly Date[],
): Reader {
  const counts = days.map(() => 0);
  for (const { at } of readings) {
    const day = Math.max(0, dayOf(at, days));
    counts[day] = (counts[day] ?? 0) + 1;
  }
  const firstDay = (of: readonly Reading[]) => dayOf(of.at(-1)?.at ?? "", days);
  const purposes = [...grouped(readings, ({ purpose }) => purpose ?? undefined)].map(([name, of]) => {
    const isNew = earlier?.every(({ purpose }) => (purpose ?? undefined) !== name);
    return { name, count: of.length, newOn: isNew ? firstDay(of) : undefined };
  });
  const newOn = earlier?.length === 0 ? firstDay(readings) : undefined;
  return { service, readings, days: counts, purposes: purposes.sort((a, b) => b.count - a.count), newOn };
}

/** The days on which a purpose of a service that was known already was new. */
export function daysOfNewPurposes({ purposes, newOn }: Reader): number[] {
  return purposes.flatMap((purpose) => {
    return purpose.newOn === undefined || purpose.newOn === newOn ? [] : [purpose.newOn];
  });
}
