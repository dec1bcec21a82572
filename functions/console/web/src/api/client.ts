// Requests to the service. Every failure is a `Failure`; what is created is sent with a key, so that a retry creates nothing twice.

import { authorizedFetch } from "../session/session.ts";
import { Failure } from "./failure.ts";

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

interface Options {
  /** Sent as `Idempotency-Key`: the same for each try of the same submission. */
  idempotencyKey?: string;
  /** Without an access token, as the routes of a sign-in are. */
  isAnonymous?: boolean;
}

async function send<T>(method: Method, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const isWrite = method !== "GET";
  const headers = new Headers({ accept: "application/json" });
  if (body !== undefined) headers.set("content-type", "application/json");
  if (options.idempotencyKey) headers.set("idempotency-key", options.idempotencyKey);
  const request = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
  const fetched = options.isAnonymous ? fetch(path, request) : authorizedFetch(path, request);
  const response = await fetched.catch(() => {
    throw new Failure({ status: 0, isWrite });
  });
  if (!response.ok) throw await Failure.read(response, isWrite);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** The service. Paths begin with `/v1`. */
export const api = {
  get: <T>(path: string) => send<T>("GET", path),
  post: <T>(path: string, body?: unknown, options?: Options) => send<T>("POST", path, body, options),
  put: <T>(path: string, body: unknown) => send<T>("PUT", path, body),
  patch: <T>(path: string, body: unknown) => send<T>("PATCH", path, body),
  delete: <T = void>(path: string, body?: unknown) => send<T>("DELETE", path, body),
};

/** Returns the path with those of the parameters that are set. */
export function withQuery(path: string, parameters: Record<string, string | number | undefined | null>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  return query.size === 0 ? path : `${path}?${query}`;
}
