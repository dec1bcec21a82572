// The rate-limit binding as the platform offers it: `limit({ key })`, ten calls for each key.

import { WorkerEntrypoint } from "cloudflare:workers";

const counts = new Map();

export class Limiter extends WorkerEntrypoint {
  limit({ key }) {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return { success: counts.get(key) <= 10 };
  }
}

export default {
  fetch: () => Response.json(Object.fromEntries(counts)),
};
