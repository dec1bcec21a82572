// The errors that callers can tell apart: the service refused, nothing came back, nobody is signed in.
import type { components } from "./api-types.js";
import { type StepUp, stepUpOf } from "./step-up.js";

/** The words that programs switch on; the set is closed. */
export type ErrorCode = components["schemas"]["Code"];
/** One value that cannot be used, with its place as a JSON Pointer. */
export type FieldError = components["schemas"]["FieldError"];
type Problem = components["schemas"]["Problem"];

/** The service refused a request (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  /** The HTTP status. */
  readonly status: number;
  /** The stable word; `undefined` where something in between responded, such as a proxy. */
  readonly code: ErrorCode | undefined;
  readonly title: string;
  /** An explanation for people. */
  readonly detail: string;
  /** The values that cannot be used; empty but for status 422. */
  readonly errors: readonly FieldError[];
  /** Seconds to wait before the next try; `undefined` where the response does not say. */
  readonly retryAfter: number | undefined;
  /** The id under which the request is found in the logs of the service. */
  readonly requestId: string | undefined;
  /** The puzzle to be solved before the next try; only with the code `proof_of_work_required`. */
  readonly proofOfWork: components["schemas"]["ProofOfWork"] | undefined;
  /** What the sign-in has to be; only with the code `insufficient_user_authentication`. */
  readonly stepUp: StepUp | undefined;
  /** What completes the sign-in with another password; only with the code `password_expired`. */
  readonly sessionToken: string | undefined;

  constructor(
    status: number,
    problem: Partial<Problem>,
    headers: { retryAfter?: number | undefined; requestId?: string | undefined; stepUp?: StepUp | undefined } = {},
  ) {
    const title = problem.title ?? `HTTP ${status}`;
    super(problem.detail ?? title);
    this.status = status;
    this.code = problem.code;
    this.title = title;
    this.detail = problem.detail ?? title;
    this.errors = problem.errors ?? [];
    this.retryAfter = headers.retryAfter;
    this.requestId = problem.request_id ?? headers.requestId;
    this.proofOfWork = problem.proof_of_work ?? undefined;
    this.stepUp = headers.stepUp;
    this.sessionToken = problem.session_token ?? undefined;
    // A token is no text for logs and error reports; it can still be read by name.
    Object.defineProperty(this, "sessionToken", { enumerable: false });
  }

  /** Returns what is wrong with the value at this JSON Pointer, such as `/email`. */
  errorAt(pointer: string): string | undefined {
    return this.errors.find((error) => error.pointer === pointer)?.detail;
  }
}

/** No response came: the network is down, the response was lost, or it took too long. Whether it was done is unknown. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";

  constructor(message = "No response from the service.", cause?: unknown) {
    super(message, { cause });
  }
}

/** Nobody is signed in any more, so there is no token. */
export class SignedOutError extends Error {
  override readonly name = "SignedOutError";

  constructor(message = "Nobody is signed in.") {
    super(message);
  }
}

/** Returns the error that a refused response carries. Never fails: a body that is no problem gives an error without a code. */
export async function problemOf(response: Response, now: number, url: string): Promise<ProblemError> {
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    body = undefined;
  }
  const problem = typeof body === "object" && body !== null ? (body as Partial<Problem>) : {};
  return new ProblemError(response.status, problem, {
    retryAfter: retryAfter(response.headers.get("retry-after"), now),
    requestId: response.headers.get("x-request-id") ?? undefined,
    stepUp: stepUpOf(response.headers.get("www-authenticate"), url),
  });
}

/** Returns the seconds of a `Retry-After`, which may be a number or a date (RFC 9110, 10.2.3). */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header);
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - now) / 1000));
}
