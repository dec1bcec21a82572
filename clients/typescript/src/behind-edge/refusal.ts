// Why a request is refused, and what its client is told.

const TITLES = { 401: "Authentication required", 403: "Edge required", 503: "Unavailable" } as const;
const CODES = { 401: "authentication_required", 403: "edge_required", 503: "unavailable" } as const;

/** The body of a refusal (RFC 9457). */
export interface EdgeProblem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: (typeof CODES)[keyof typeof CODES];
}

/**
 * A request is refused: 403 `edge_required` without a valid proof or with one that was used, 401 `authentication_required`
 * for nobody on a route that the edge leaves public, 503 `unavailable` where it cannot be told now whether it was used.
 */
export class EdgeProofError extends Error {
  override readonly name = "EdgeProofError";

  constructor(
    readonly status: keyof typeof CODES,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The stable word that programs switch on. */
  get code(): EdgeProblem["code"] {
    return CODES[this.status];
  }

  /** The headers of the response. */
  get headers(): Record<string, string> {
    const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
    return this.status === 503 ? { ...headers, "retry-after": "1" } : headers;
  }

  /** The body of the response, as an object. */
  get problem(): EdgeProblem {
    const { status, code, message } = this;
    return { type: `urn:portcullis:problem:${code}`, title: TITLES[status], status, detail: message, code };
  }
}
