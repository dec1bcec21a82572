// The issuer's keys: fetched when the gate asks for them, imported into WebCrypto, used to verify.

import { SingleFlight, fetchWithin, readBounded } from "./bounded.js";

const { subtle } = crypto;
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const TIMEOUT = 2000;
const MAX_BYTES = 64 * 1024;
/// Requests that may wait for keys at once; a flood of forged key ids must not pile up here.
const MAX_WAITING = 256;

export class Issuer {
  #edge;
  #url;
  #keys = new Map();
  #ticket;
  #pending;
  #waiting = 0;
  #flight = new SingleFlight(() => this.#fetch(), TIMEOUT);

  serve(edge, url) {
    this.#edge = edge;
    this.#url = url;
    this.#import();
  }

  /// Called by the gate in the middle of a decision. The bytes are views of its memory: WebCrypto copies them at once,
  /// unless the key is still being imported.
  verify(ticket, number, signature, signed) {
    this.#ticket = ticket;
    const key = this.#keys.get(number)?.key;
    if (key instanceof CryptoKey) {
      this.#pending = subtle.verify(RS256.name, key, signature, signed);
    } else {
      const [ownSignature, ownSigned] = [signature.slice(), signed.slice()];
      this.#pending = Promise.resolve(key).then((there) =>
        there ? subtle.verify(RS256.name, there, ownSignature, ownSigned) : false,
      );
    }
  }

  /// Calls `resume` with the ticket and the outcome of the signature the gate has just asked about.
  outcome(resume) {
    const ticket = this.#ticket;
    const pending = this.#pending;
    this.#pending = undefined;
    return pending.then((isValid) => resume(ticket, isValid));
  }

  refresh(ctx) {
    this.#flight.run(ctx).catch(() => {});
  }

  async wait(delay, ctx) {
    if (this.#waiting >= MAX_WAITING) return "unavailable";
    this.#waiting += 1;
    try {
      await this.#flight.wait(ctx, delay);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #fetch() {
    this.#edge.keys_fetching(Date.now());
    try {
      await fetchWithin(TIMEOUT, this.#url, {}, async (response) => {
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const json = await readBounded(response, MAX_BYTES);
        this.#edge.keys_arrived(json, maxAge(response), Date.now());
        this.#import();
      });
    } catch (error) {
      this.#edge.keys_failed();
      console.warn("portcullis edge: no keys from the issuer:", String(error));
    }
  }

  #import() {
    const known = new Map();
    for (const entry of this.#keys.values()) if (entry.key instanceof CryptoKey) known.set(entry.name, entry);
    const keys = JSON.parse(this.#edge.keys());
    this.#keys = new Map(keys.map(([number, jwk]) => [number, known.get(JSON.stringify(jwk)) ?? imported(jwk)]));
  }
}

/// A key, and until it is there the promise of it.
function imported(jwk) {
  const entry = { name: JSON.stringify(jwk) };
  entry.key = subtle.importKey("jwk", jwk, RS256, false, ["verify"]).then(
    (key) => (entry.key = key),
    () => undefined,
  );
  return entry;
}

function maxAge(response) {
  const found = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(response.headers.get("cache-control") ?? "");
  return found ? Number(found[1]) : -1;
}
