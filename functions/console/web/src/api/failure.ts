// Why a request failed, in the terms that pages need: what to say, whether anything was changed, when to try again.
import type { core } from "../messages/core/index.ts";

type CoreKey = keyof (typeof core)["english"];

/** What the service says about one value. */
export interface FieldError {
  /** JSON Pointer into the body, such as `/email`. */
  pointer: string;
  detail: string;
}

interface Problem {
  code?: string;
  detail?: string;
  errors?: FieldError[];
  request_id?: string;
  session_token?: string;
  proof_of_work?: { challenge: string; bits: number };
}

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
  forbidden: "error.forbidden",
  not_found: "error.notFound",
  invalid_code: "error.wrongProof",
  invalid_credentials: "error.wrongProof",
  weak_password: "error.weakPassword",
  validation_failed: "error.invalid",
};

interface Parts {
  status: number;
  problem?: Problem;
  retryAt?: number;
  isWrite: boolean;
}

/** A failed request. Status 0 means that there was no answer. */
export class Failure extends Error {
  readonly status: number;
  readonly code: string;
  readonly problem: Problem;
  /** From when it makes sense to try again, by this page's clock. */
  readonly retryAt: number | undefined;
  /** Whether a write was carried out; undefined for what changes nothing. */
  readonly changed: "nothing" | "unknown" | undefined;

  constructor({ status, problem, retryAt, isWrite }: Parts) {
    const code = problem?.code ?? (status === 0 ? "network" : "unknown");
    super(`${status} ${code}`);
    this.name = "Failure";
    this.status = status;
    this.code = code;
    this.problem = problem ?? {};
    this.retryAt = retryAt;
    // An answer of 5xx may come after the write; one of 4xx never does.
    this.changed = !isWrite ? undefined : status >= 400 && status < 500 ? "nothing" : "unknown";
  }

  /** Reads an answer that is no success. Answers of others, such as a gateway's page, have no problem inside. */
  static async read(response: Response, isWrite: boolean): Promise<Failure> {
    const isProblem = response.headers.get("content-type")?.includes("json");
    const problem: Problem | undefined = isProblem ? await response.json().catch(() => undefined) : undefined;
    const after = Number(response.headers.get("retry-after"));
    const retryAt = after > 0 ? Date.now() + after * 1000 : undefined;
    return new Failure({ status: response.status, problem, retryAt, isWrite });
  }

  /** Returns the failure itself, or one that says the page failed. */
  static of(error: unknown): Failure {
    return error instanceof Failure ? error : new Failure({ status: 500, isWrite: false });
  }

  /** What to say, as a text of the core catalogue. */
  get message(): CoreKey {
    const known = BY_CODE[this.code];
    if (known) return known;
    if (this.status === 0) return "error.network";
    if (this.status === 405) return "error.oldService";
    return this.status === 429 ? "error.tooMany" : this.status === 503 ? "error.unavailable" : "error.internal";
  }

  /** The service's own sentence, where there are no words for the code here. */
  get detail(): string | undefined {
    return this.code in BY_CODE ? undefined : this.problem.detail;
  }

  /** Whether whoever runs the service would want the id of the request. */
  get isOurs(): boolean {
    return this.status >= 500;
  }

  get requestId(): string | undefined {
    return this.problem.request_id;
  }

  get errors(): readonly FieldError[] {
    return this.problem.errors ?? [];
  }
}
