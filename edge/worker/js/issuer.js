// The issuer's keys: fetched when the gate asks for them, left in the cache for isolates that start later, imported into
// WebCrypto, used to verify.

import { SingleFlight, fetchWithin, readBounded, within } from "./bounded.js";

const { subtle } = crypto;
const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const TIMEOUT = 2000;
const MAX_BYTES = 64 * 1024;
/// Where isolates of one data centre leave the keys for each other, apart from what the zone caches.
const CACHE = "portcullis-edge";
const CACHED_SECONDS = 24 * 3600;
const CACHE_TIMEOUT = 500;
/// Requests that may wait for keys at once; a flood of forged key ids must not pile up here.
const MAX_WAITING = 256;

export class Issuer {
  #edge;
  #url;
  #keys = new Map();
  #ticket;
  #pending;
  #waiting = 0;
  #flight = new SingleFlight((ctx) => this.#fetch(ctx), TIMEOUT);

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

  async #fetch(ctx) {
    if (this.#keys.size === 0 && (await within(CACHE_TIMEOUT, this.#recall()))) return;
    this.#edge.keys_fetching(Date.now());
    try {
      await fetchWithin(TIMEOUT, this.#url, {}, async (response) => {
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const json = await readBounded(response, MAX_BYTES);
        const [age, now] = [maxAge(response.headers.get("cache-control")), Date.now()];
        this.#edge.keys_arrived(json, age, now);
        this.#import();
        ctx.waitUntil(this.#share(json, age, now));
      });
    } catch (error) {
      this.#edge.keys_failed();
      console.warn("portcullis edge: no keys from the issuer:", String(error));
    }
  }

  /// Leaves the keys to isolates that start later. They count from when the issuer gave them.
  async #share(json, age, now) {
    try {
      const cache = await caches.open(CACHE);
      const headers = { "cache-control": `max-age=${CACHED_SECONDS}`, "x-max-age": age, "x-obtained-at": now };
      await cache.put(this.#url, new Response(json, { headers }));
    } catch (error) {
      console.warn("portcullis edge: the keys are not cached:", String(error));
    }
  }

  /// The first keys of an isolate may be what another one left, so that it can start while the issuer is down. Whether
  /// there were any.
  async #recall() {
    try {
      const cache = await caches.open(CACHE);
      const response = await cache.match(this.#url);
      if (!response) return false;
      const json = await readBounded(response, MAX_BYTES);
      // Whatever came in the meantime is newer.
      if (this.#keys.size > 0) return true;
      const number = (name) => Number(response.headers.get(name) ?? NaN);
      this.#edge.keys_arrived(json, number("x-max-age"), Math.min(number("x-obtained-at"), Date.now()));
      this.#import();
      return true;
    } catch (error) {
      console.warn("portcullis edge: no keys from the cache:", String(error));
      return false;
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

function maxAge(cacheControl) {
  const found = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(cacheControl ?? "");
  return found ? Number(found[1]) : -1;
}
