// The edge's proof of origin: who sends a request that came through it, as `edge/README.md` describes it.
import { EdgeProofError } from "./refusal.js";
import { read, SIGNED, SIGNED_IF_APPROVED, type FetchRequest, type NodeRequest, type ReadRequest } from "./request.js";
import type { Seen } from "./seen.js";

/** Seconds by which the time of a proof may differ from the clock of the service. */
const MAX_AGE = 30;
/** Seconds for which a proof is remembered: from the earliest clock that takes it to the latest that still does. */
const REMEMBERED = 2 * MAX_AGE + 1;
const KEY_BYTES = 32;
const PROOF = /^v2;k=([a-z0-9-]{1,16});t=(0|[1-9][0-9]{0,15});n=([A-Za-z0-9-]{1,64});([0-9a-f]{64})$/;
const KEY = /^([a-z0-9-]{1,16}):([A-Za-z0-9_-]{43})$/;
const HMAC = { name: "HMAC", hash: "SHA-256" };

/** Who the edge says is calling. */
export interface EdgeCaller {
  readonly userId: string;
  readonly roles: readonly string[];
  /** A person with an access token, or a program with an API key of a person. */
  readonly method: "access_token" | "api_key";
  /** `undefined` for an API key, and for an account without one. */
  readonly email: string | undefined;
  /** `undefined` for an API key. */
  readonly sessionId: string | undefined;
  /** What an API key is narrowed to, each `resource:action`; `undefined` for an access token. */
  readonly scopes: readonly string[] | undefined;
  readonly requestId: string | undefined;
  /** The client's address as the edge saw it. */
  readonly clientAddress: string | undefined;
  /** The approval that the edge spent for the order in the body; `undefined` where it asked for none. */
  readonly approvalId: string | undefined;
  /** What that order is to be tagged with at the broker. */
  readonly approvalOrderTag: string | undefined;
}

export interface EdgeProofOptions {
  /** With it a proof works once. Without it whoever sees a request can send it again for half a minute, with another body. */
  seen?: Seen | undefined;
  /** Returns milliseconds since 1970. */
  now?: (() => number) | undefined;
}

/** Checks the proof of requests to one service of the edge's route table. */
export class EdgeProof {
  readonly #keys: ReadonlyMap<string, readonly Promise<CryptoKey>[]>;
  readonly #seen: Seen | undefined;
  readonly #now: () => number;

  /**
   * `keys` is `SERVICE_PROOF_KEYS`, as `manage-users proof-key` prints it for this service: `id:key`, several of them separated
   * by commas while one takes the place of another. Fails if it is anything else.
   */
  constructor(
    keys: string | readonly string[],
    private readonly service: string,
    options: EdgeProofOptions = {},
  ) {
    this.#keys = keysOf(typeof keys === "string" ? [keys] : keys);
    this.#seen = options.seen;
    this.#now = options.now ?? Date.now;
  }

  /** Returns who sends a request; fails with an `EdgeProofError`. */
  async verify(request: NodeRequest | FetchRequest): Promise<EdgeCaller> {
    const given = read(request);
    const [, key = "", time = "", nonce = "", mac = ""] = PROOF.exec(given.header("x-edge-proof")) ?? [];
    const isFresh = key !== "" && Math.abs(this.#now() / 1000 - Number(time)) <= MAX_AGE;
    const lines = ["portcullis-edge-v2", key, time, nonce, this.service, given.method, given.target];
    lines.push(...SIGNED.map((name) => given.header(name)));
    const approved = SIGNED_IF_APPROVED.map((name) => given.header(name));
    if (approved.some((value) => value !== "")) lines.push(...approved);
    if (!isFresh || lines.some((line) => line.includes("\n")) || !(await this.isSigned(key, lines.join("\n"), mac))) {
      throw new EdgeProofError(403, "This request did not come through the edge.");
    }
    // Last: what is not signed takes up no room.
    if (this.#seen && !(await isFirst(this.#seen, mac))) throw new EdgeProofError(403, "This request was sent before.");
    return callerOf(given);
  }

  /** Compares in constant time, with each key of this id whatever the others say. */
  private async isSigned(id: string, text: string, mac: string): Promise<boolean> {
    const given = Uint8Array.from({ length: mac.length / 2 }, (_, at) => Number.parseInt(mac.slice(2 * at, 2 * at + 2), 16));
    const data = new TextEncoder().encode(text);
    const keys = this.#keys.get(id) ?? [];
    const found = keys.map(async (key) => crypto.subtle.verify("HMAC", await key, given, data));
    return (await Promise.all(found)).includes(true);
  }
}

/** Returns the keys by their ids. Under one id there are several while the edge's root key is replaced. */
function keysOf(texts: readonly string[]): Map<string, Promise<CryptoKey>[]> {
  const keys = new Map<string, Promise<CryptoKey>[]>();
  for (const part of texts.flatMap((text) => text.split(","))) {
    const [, id = "", text = ""] = KEY.exec(part.trim()) ?? [];
    const bytes = text === "" ? new Uint8Array() : Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (byte) => byte.charCodeAt(0));
    if (bytes.length !== KEY_BYTES) {
      throw new TypeError("SERVICE_PROOF_KEYS is what `manage-users proof-key` prints: `id:key`, separated by commas");
    }
    const key = crypto.subtle.importKey("raw", bytes, HMAC, false, ["verify"]);
    keys.set(id, [...(keys.get(id) ?? []), key]);
  }
  if (keys.size === 0) throw new TypeError("there is no key of the edge's proofs");
  return keys;
}

async function isFirst(seen: Seen, mac: string): Promise<boolean> {
  try {
    return await seen.isFirst(mac, REMEMBERED);
  } catch (cause) {
    if (cause instanceof EdgeProofError) throw cause;
    throw new EdgeProofError(503, "It cannot be told whether this request was sent before.", { cause });
  }
}

function callerOf({ header }: ReadRequest): EdgeCaller {
  const userId = plain(header("x-user-id"));
  if (userId === undefined) throw new EdgeProofError(401, "This request needs an access token or an API key.");
  const isKey = header("x-auth-method") === "api_key";
  return {
    userId,
    roles: list(header("x-user-roles")),
    method: isKey ? "api_key" : "access_token",
    email: plain(header("x-user-email")),
    sessionId: plain(header("x-session-id")),
    scopes: isKey ? list(header("x-user-scopes")) : undefined,
    requestId: plain(header("x-request-id")),
    clientAddress: plain(header("x-client-address")),
    approvalId: plain(header("x-approval-id")),
    approvalOrderTag: plain(header("x-approval-order-tag")),
  };
}

function plain(value: string): string | undefined {
  return value === "" ? undefined : decodeURIComponent(value);
}

function list(value: string): string[] {
  return value.split(",").filter((one) => one !== "").map((one) => decodeURIComponent(one));
}
