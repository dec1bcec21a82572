// Fetches that end: in time, in size, and once for all who wait for the same thing.

/// The whole body, unless it is longer than `most` bytes.
export async function readBounded(response, most) {
  const declared = Number(response.headers.get("content-length") ?? 0);
  const reader = response.body?.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = reader ? await reader.read() : { done: true };
    if (done) break;
    length += value.byteLength;
    if (length > most || declared > most) {
      await reader.cancel();
      throw new Error(`more than ${most} bytes`);
    }
    parts.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/// Calls `use` with the response, and gives up on all of it after `milliseconds`.
export async function fetchWithin(milliseconds, url, init, use) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("timeout")), milliseconds);
  try {
    return await use(await fetch(url, { ...init, redirect: "manual", cache: "no-store", signal: controller.signal }));
  } finally {
    clearTimeout(timer);
  }
}

/// One run at a time of a job that leaves its result elsewhere. The request that starts it keeps it alive; the others
/// wait with a timer of their own, for a promise of another request may never settle if that request is gone.
export class SingleFlight {
  #job;
  #patience;
  #startedAt = 0;
  #flight;

  constructor(job, patience) {
    this.#job = job;
    this.#patience = patience;
  }

  /// Sees to it that the job runs, after `delay` if it has to be started.
  run(ctx, delay = 0) {
    const isLost = Date.now() - this.#startedAt > this.#patience * 2 + delay;
    if (this.#flight && !isLost) return this.#flight;
    this.#startedAt = Date.now();
    const flight = (async () => {
      try {
        if (delay > 0) await sleep(delay);
        await this.#job(ctx);
      } finally {
        if (this.#flight === flight) this.#flight = undefined;
      }
    })();
    this.#flight = flight;
    ctx.waitUntil(flight);
    return flight;
  }

  async wait(ctx, delay = 0) {
    await within(this.#patience + delay + 500, this.run(ctx, delay));
  }
}

/// A promise of the same, or of nothing if that takes longer than `milliseconds`.
export async function within(milliseconds, promise) {
  let timer;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
