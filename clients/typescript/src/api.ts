// The types of the operations, by method and path, from those that are generated of the OpenAPI document.
import type { components, paths } from "./api-types.js";

/** Types of the bodies by their names in the OpenAPI document. */
export type Schemas = components["schemas"];
/** The account of a person. */
export type User = Schemas["User"];
/** A method that has operations. */
export type Method = "get" | "post" | "put" | "patch" | "delete";

/** The paths that answer a method. */
export type PathsOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [K in M]: { responses: unknown } } ? P : never;
}[keyof paths];

/** An operation in the generated types. */
export type OperationOf<M extends Method, P extends keyof paths> = paths[P] extends { [K in M]: infer O } ? O : never;

type Json<R> = R extends { content: { "application/json": infer B } } ? B : undefined;
type Success = 200 | 201 | 202 | 204;
type Responses<O> = O extends { responses: infer R } ? R : never;

/** What an operation returns when it succeeds. */
export type ResultOf<O> =
  Responses<O> extends infer R ? { [S in keyof R & Success]: Json<R[S]> }[keyof R & Success] : never;

type Parameters<O> = O extends { parameters: infer P } ? P : never;
type PathParameters<O> = Parameters<O> extends { path: infer P } ? { params: P } : { params?: undefined };
type Query<O> =
  Parameters<O> extends { query: infer Q }
    ? { query: Q }
    : Parameters<O> extends { query?: infer Q }
      ? { query?: Exclude<Q, undefined> }
      : { query?: undefined };
type Body<O> = O extends { requestBody: { content: { "application/json": infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { "application/json": infer B } } }
    ? { body?: B }
    : { body?: undefined };

/** What every operation takes. */
export interface CommonOptions {
  signal?: AbortSignal | undefined;
  headers?: Record<string, string> | undefined;
  /** Milliseconds after which the response counts as lost; 10 seconds unless set. */
  timeout?: number | undefined;
  /** The key under which a write happens once, however often it is sent (`Idempotency-Key`); keep it for the next try. */
  idempotencyKey?: string | undefined;
}

/** What an operation takes besides its path. */
export type OptionsOf<O> = PathParameters<O> & Query<O> & Body<O> & CommonOptions;

/** The options may be left out where nothing in them is required. */
export type OptionalArgument<T> = Record<never, never> extends T ? [options?: T] : [options: T];

/** Returns the path with its parameters and its query. */
export function addressOf(path: string, params: object | undefined, query: object | undefined): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = (params as Record<string, unknown> | undefined)?.[name];
    if (value === undefined) throw new TypeError(`the parameter ${name} of ${path} is missing`);
    return encodeURIComponent(String(value));
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) search.append(name, String(value));
  }
  const written = String(search);
  return written ? `${filled}?${written}` : filled;
}

/** What a proof is sent to: a refusal of it is no reason to ask for another one. */
export const STEP_UP = "/v1/auth/step-up";

/** Operations under `/v1/auth` that want an access token; the others there are for people who have none yet. */
const WITH_TOKEN = new Set([
  "/v1/auth/status",
  "/v1/auth/logout",
  "/v1/auth/password/change",
  "/v1/auth/password/remove",
  "/v1/auth/password/set",
  STEP_UP,
]);
const WITHOUT_TOKEN = new Set(["/healthz", "/.well-known/oauth-authorization-server", "/.well-known/webauthn"]);

/** Returns whether an operation takes an access token. */
export function takesToken(path: string): boolean {
  return path.startsWith("/v1/auth/") ? WITH_TOKEN.has(path) : !WITHOUT_TOKEN.has(path);
}

/** Returns whether an operation reads or sets cookies: those of the refresh token and of the known device. */
export function usesCookies(path: string): boolean {
  return path.startsWith("/v1/auth/") || path === "/v1/mfa/totp/enable" || path === "/v1/passkeys";
}
