// What a proof covers of a request, read from Node's requests and from those of fetch.
import { EdgeProofError } from "./refusal.js";

/** The identity headers, in the order in which the proof covers them. */
export const SIGNED = [
  "x-user-id",
  "x-user-email",
  "x-user-roles",
  "x-user-scopes",
  "x-session-id",
  "x-auth-method",
  "x-request-id",
  "x-client-address",
] as const;
/** What follows them where an approval was spent for the request. */
export const SIGNED_IF_APPROVED = ["x-approval-id", "x-approval-order-tag"] as const;
const PROOF = "x-edge-proof";
const NAMES: ReadonlySet<string> = new Set([...SIGNED, ...SIGNED_IF_APPROVED, PROOF]);

/** A header of the edge. */
export type EdgeHeader = (typeof SIGNED)[number] | (typeof SIGNED_IF_APPROVED)[number] | typeof PROOF;

/** A request of `node:http`, and so of Express, Connect and (as `request.raw`) Fastify. */
export interface NodeRequest {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
  /** The same where a framework shortens `url` for a part of it. */
  readonly originalUrl?: string | undefined;
  /** Names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
}

/** A `Request` of fetch. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/** What is signed of a request. A header that is absent is empty. */
export interface ReadRequest {
  method: string;
  /** Path and query as they came, not decoded. */
  target: string;
  header(name: EdgeHeader): string;
}

/** Returns what is signed of a request; fails where a header of the edge came twice. */
export function read(request: NodeRequest | FetchRequest): ReadRequest {
  if (!("rawHeaders" in request)) {
    const { pathname, search } = new URL(request.url);
    // `Headers` joins what came twice with a comma and a blank, and no signed value has a blank.
    return { method: request.method, target: pathname + search, header: (name) => request.headers.get(name) ?? "" };
  }
  const values = single(request.rawHeaders);
  const target = request.originalUrl ?? request.url ?? "";
  return { method: request.method ?? "", target, header: (name) => values.get(name) ?? "" };
}

/** One that came twice may mean either value to the next reader. */
function single(raw: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    if (!NAMES.has(name)) continue;
    if (values.has(name)) throw new EdgeProofError(403, "A header of the edge came twice.");
    values.set(name, raw[at + 1]!);
  }
  return values;
}
