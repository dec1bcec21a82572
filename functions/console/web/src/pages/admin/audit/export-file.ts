// Events as a file. A cell of CSV that a spreadsheet would take for a formula is kept from being one.
import { client } from "../../../session/client.ts";
import type { AuditEvent } from "../../events/types.ts";

const PAGE = 100;
const MOST_PAGES = 100;

/** What can be asked of the trail. */
export type Wanted = NonNullable<NonNullable<Parameters<typeof client.get<"/v1/admin/audit">>[1]>["query"]>;

/** The events that were read, and whether these are all. */
export interface Exported {
  items: AuditEvent[];
  isWhole: boolean;
}

/** Reads events page by page up to a bound; `onProgress` hears how many there are so far. */
export async function readAll(wanted: Wanted, onProgress: (count: number) => void): Promise<Exported> {
  const items: AuditEvent[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer = await client.get("/v1/admin/audit", { query: { ...wanted, limit: PAGE, cursor } });
    items.push(...answer.items);
    onProgress(items.length);
    if (!answer.next_cursor) return { items, isWhole: true };
    cursor = answer.next_cursor;
  }
  return { items, isWhole: false };
}

const COLUMNS = [
  "at",
  "type",
  "outcome",
  "user_id",
  "actor",
  "service",
  "purpose",
  "target",
  "ip",
  "user_agent",
  "session_id",
  "request_id",
  "event_id",
] as const;

/** Returns the events as CSV (RFC 4180), with the details as JSON in the last column. */
export function csvOf(items: readonly AuditEvent[]): string {
  const rows = items.map((event) => [
    ...COLUMNS.map((name) => event[name] ?? ""),
    event.details ? JSON.stringify(event.details) : "",
  ]);
  return [[...COLUMNS, "details"], ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Hands a text over as a file that is saved. */
export function saveFile(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
