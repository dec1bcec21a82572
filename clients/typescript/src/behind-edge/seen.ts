// Which proofs were used: a memory with a bound for one process, and what to implement over a store for several.
import { EdgeProofError } from "./refusal.js";

/** Remembers proofs that were used. Give one over a shared store where a service has several processes. */
export interface Seen {
  /**
   * Returns whether the proof, 64 hexadecimal digits, was not shown before, and remembers it for so many seconds. One write,
   * or it races: `SET proof 1 NX EX seconds` of Redis. Whatever it throws refuses the request with 503.
   */
  isFirst(proof: string, seconds: number): boolean | Promise<boolean>;
}

/** Seconds. Proofs that end within the same ones are forgotten together. */
const BUCKET = 8;
/** Digits of the 64: 128 bits. Whoever could choose them would have the key, and by chance no two are alike. */
const KEPT_DIGITS = 32;

/**
 * Remembers proofs in this process, and no other process sees them. Memory has a bound: at `capacity` proofs (about 100 bytes
 * each) requests are refused with 503 until the oldest end, because a proof that was forgotten early could be sent again.
 * Only requests that the edge signed take up room.
 */
export class SeenHere implements Seen {
  readonly #buckets = new Map<number, Set<string>>();

  /** `elapsed` returns seconds from any beginning, never backwards. */
  constructor(
    private readonly capacity = 250_000,
    private readonly elapsed: () => number = () => performance.now() / 1000,
  ) {}

  /** How many proofs are remembered. */
  get size(): number {
    let size = 0;
    for (const bucket of this.#buckets.values()) size += bucket.size;
    return size;
  }

  isFirst(proof: string, seconds: number): boolean {
    const now = this.elapsed();
    for (const number of this.#buckets.keys()) if (number * BUCKET <= now) this.#buckets.delete(number);
    const kept = compact(proof);
    for (const bucket of this.#buckets.values()) if (bucket.has(kept)) return false;
    if (this.size >= this.capacity) throw new EdgeProofError(503, "There are too many requests to remember.");
    const number = Math.ceil((now + seconds) / BUCKET);
    const bucket = this.#buckets.get(number) ?? new Set();
    this.#buckets.set(number, bucket.add(kept));
    return true;
  }
}

/** Returns a text of its own: a part of the header would keep all headers of its request in memory. */
function compact(proof: string): string {
  let kept = "";
  for (let at = 0; at < KEPT_DIGITS; at += 4) kept += String.fromCharCode(Number.parseInt(proof.slice(at, at + 4), 16));
  return kept;
}
