// One request to the service and its outcome: the JSON of a success, a problem, or no response.
import { addressOf, usesCookies } from "./api.js";
import type { Environment } from "./environment.js";
import { NetworkError, problemOf } from "./errors.js";

/** What a request to the service is made of. */
export interface Call {
  params?: object | undefined;
  query?: object | undefined;
  body?: unknown;
  headers?: Record<string, string> | undefined;
  idempotencyKey?: string | undefined;
  signal?: AbortSignal | undefined;
  timeout?: number | undefined;
  /** Sent although the page is left meanwhile. */
  keepalive?: boolean | undefined;
}

export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

/** The service at its address. */
export class Service {
  constructor(
    private readonly environment: Environment,
    private readonly baseUrl: string,
    private readonly patience: number,
  ) {}

  /** Returns the parsed body of a success, `undefined` for one without; fails with a `ProblemError` or a `NetworkError`. */
  async call(
    method: string,
    path: string,
    call: Call = {},
    send: Fetch = (url, init) => this.environment.fetch(url, init),
  ): Promise<unknown> {
    const limit = this.limit(call);
    try {
      const url = this.baseUrl + addressOf(path, call.params, call.query);
      const sent = send(url, { ...this.init(method, path, call), signal: limit.signal });
      // What it waits for before it is sent, such as a refresh, does not know of this signal.
      const response = await lost(Promise.race([sent, limit.broken]));
      // The body is read under the same limit: a response may be lost in its middle.
      if (!response.ok) throw await problemOf(response, this.environment.now(), url);
      if (response.status === 204) return undefined;
      return await lost(response.json());
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason;
      throw error;
    } finally {
      limit.done();
    }
  }

  private init(method: string, path: string, call: Call): RequestInit {
    const headers: Record<string, string> = { accept: "application/json", ...call.headers };
    if (call.body !== undefined) headers["content-type"] = "application/json";
    if (call.idempotencyKey !== undefined) headers["idempotency-key"] = call.idempotencyKey;
    const init: RequestInit = { method: method.toUpperCase(), headers };
    if (call.body !== undefined) init.body = JSON.stringify(call.body);
    if (usesCookies(path)) Object.assign(init, { credentials: "include", cache: "no-store" });
    if (call.keepalive) init.keepalive = true;
    return init;
  }

  /** Returns a signal that aborts when time is up or the caller wants it, and a promise that fails then. */
  private limit({ timeout = this.patience, signal }: Call): {
    signal: AbortSignal;
    broken: Promise<never>;
    done: () => void;
  } {
    const controller = new AbortController();
    const broken = new Promise<never>((_, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason));
    });
    broken.catch(() => undefined);
    const abort = () => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    const timer = this.environment.setTimeout(
      () => controller.abort(new NetworkError("The response took too long.")),
      timeout,
    );
    const done = () => {
      signal?.removeEventListener("abort", abort);
      this.environment.clearTimeout(timer);
    };
    return { signal: controller.signal, broken, done };
  }
}

/** A failed fetch, and a body that ends early or is no JSON, such as the page of a network that wants a sign-in of its own. */
async function lost<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof Error && OWN.has(cause.name)) throw cause;
    throw new NetworkError(undefined, cause);
  }
}

/** Errors of this package, which a fetch with a token may fail with. */
const OWN = new Set(["NetworkError", "ProblemError", "SignedOutError"]);
