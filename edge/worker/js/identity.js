// Questions to the identity service: what has been revoked, and whose an API key is.

import { SingleFlight, fetchWithin, readBounded } from "./bounded.js";

const TIMEOUT = 2000;
const MAX_LIST_BYTES = 1024 * 1024;
const MAX_ANSWER_BYTES = 16 * 1024;
/// Questions about API keys under way at once: made-up keys must not become a flood of questions.
const MAX_QUESTIONS = 32;

export class Identity {
  #edge;
  #addresses;
  #serviceToken;
  #etag;
  #questions = 0;
  #flight = new SingleFlight(() => this.#fetchList(), TIMEOUT);

  constructor(edge, addresses, serviceToken) {
    this.#edge = edge;
    this.#addresses = addresses;
    this.#serviceToken = serviceToken;
  }

  refresh(ctx) {
    this.#flight.run(ctx).catch(() => {});
  }

  wait(ctx) {
    return this.#flight.wait(ctx);
  }

  async #fetchList() {
    const askedAt = Date.now();
    const headers = { "x-service-token": this.#serviceToken, accept: "application/json" };
    if (this.#etag) headers["if-none-match"] = this.#etag;
    try {
      await fetchWithin(TIMEOUT, this.#addresses.revocations, { headers }, async (response) => {
        if (response.status === 304 && this.#etag) {
          this.#edge.revocations_unchanged(askedAt);
          return;
        }
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const json = await readBounded(response, MAX_LIST_BYTES);
        this.#edge.revocations_arrived(json, askedAt);
        this.#etag = response.headers.get("etag") ?? undefined;
      });
    } catch (error) {
      this.#edge.revocations_failed(Date.now());
      console.warn("portcullis edge: no list of revocations:", String(error));
    }
  }

  /// Asks about the key of a request. A word says why it has to be refused.
  async lookUp({ request, env }) {
    const limiter = env.RATE_LIMITER;
    if (limiter) {
      const address = request.headers.get("cf-connecting-ip") ?? "";
      const { success } = await limiter.limit({ key: `lookup:${address}` });
      if (!success) return "too_many_attempts";
    }
    if (this.#questions >= MAX_QUESTIONS) return "unavailable";
    this.#questions += 1;
    try {
      const key = request.headers.get("x-api-key");
      const askedAt = Date.now();
      const init = {
        method: "POST",
        headers: { "x-service-token": this.#serviceToken, "content-type": "application/json" },
        body: JSON.stringify({ api_key: key }),
      };
      await fetchWithin(TIMEOUT, this.#addresses.api_keys, init, async (response) => {
        if (response.status !== 200) throw new Error(`status ${response.status}`);
        const json = await readBounded(response, MAX_ANSWER_BYTES);
        this.#edge.api_key_answered(key, json, endOf(json), askedAt);
      });
    } catch (error) {
      console.warn("portcullis edge: no answer about an API key:", String(error));
      return "unavailable";
    } finally {
      this.#questions -= 1;
    }
  }
}

/// When the key ends; an end that cannot be read is now.
function endOf(json) {
  const { expires_at: end } = JSON.parse(new TextDecoder().decode(json));
  if (end === null || end === undefined) return -1;
  const moment = Date.parse(end);
  return Number.isNaN(moment) ? 0 : moment;
}
