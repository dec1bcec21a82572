// Why a request failed, in the terms that pages need: what to say, whether anything was changed, when to try again.
import { type FieldError, NetworkError, ProblemError, SignedOutError } from "portcullis-client";
import type { core } from "../messages/core/index.ts";

type CoreKey = keyof (typeof core)["english"];

/** Codes of the service that have words of their own here; another one shows the service's own sentence. */
const BY_CODE: Record<string, CoreKey> = {
  too_many_attempts: "error.tooMany",
  request_timeout: "error.timeout",
  deadline_exceeded: "error.timeout",
  unavailable: "error.unavailable",
  internal_error: "error.internal",
  invalid_token: "error.signedOut",
  session_revoked: "error.signedOut",
  invalid_refresh_token: "error.signedOut",
  authentication_required: "error.signedOut",
  insufficient_user_authentication: "error.stepUp",
  forbidden: "error.forbidden",
  not_found: "error.notFound",
  invalid_session_token: "error.late",
  last_factor: "error.lastFactor",
  passkeys_unavailable: "error.passkeysOff",
  invalid_code: "error.wrongProof",
  invalid_credentials: "error.wrongProof",
  weak_password: "error.weakPassword",
  validation_failed: "error.invalid",
  email_taken: "error.emailTaken",
};

const BY_STATUS: Record<number, CoreKey> = {
  0: "error.network",
  401: "error.signedOut",
  405: "error.oldService",
  429: "error.tooMany",
  503: "error.unavailable",
};

/** Returns whether the person closed the browser's dialog for passkeys, or it found nothing; browsers do not say which. */
export function isDismissed(error: unknown): boolean {
  return error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name);
}

/** A failed request. Status 0 means that there was no answer. */
export class Failure extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];
  /** From when it makes sense to try again, by this page's clock. */
  readonly retryAt: number | undefined;
  readonly requestId: string | undefined;
  /** The service's own sentence, where there are no words for the code here. */
  readonly detail: string | undefined;

  private constructor(cause: unknown) {
    super("a request failed", { cause });
    this.name = "Failure";
    const problem = cause instanceof ProblemError ? cause : undefined;
    const isLost = cause instanceof NetworkError;
    this.status = problem?.status ?? (isLost ? 0 : cause instanceof SignedOutError ? 401 : 500);
    this.code = problem?.code ?? (isLost ? "network" : "unknown");
    this.errors = problem?.errors ?? [];
    this.retryAt = problem?.retryAfter ? Date.now() + problem.retryAfter * 1000 : undefined;
    this.requestId = problem?.requestId;
    this.detail = problem?.code && !(problem.code in BY_CODE) ? problem.detail : undefined;
  }

  /** Returns what an error means to a page. An error of the page itself is one of status 500. */
  static of(error: unknown): Failure {
    return error instanceof Failure ? error : new Failure(error);
  }

  /** What to say, as a text of the core catalogue. */
  get textKey(): CoreKey {
    return BY_CODE[this.code] ?? BY_STATUS[this.status] ?? "error.internal";
  }

  /** Whether a write was carried out: an answer of 5xx, or none, may come after it; one of 4xx never does. */
  get changed(): "nothing" | "unknown" {
    return this.status >= 400 && this.status < 500 ? "nothing" : "unknown";
  }

  /** Whether whoever runs the service would want the id of the request. */
  get isOurs(): boolean {
    return this.status >= 500;
  }
}
