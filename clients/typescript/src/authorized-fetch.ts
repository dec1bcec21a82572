// `fetch` with the access token, for listed origins only. A refused token is replaced and the request repeated once, if it
// can be; a request that wants a stronger sign-in goes to the application's callback, and never to a refresh.
import type { Environment } from "./environment.js";
import type { Session } from "./session.js";

/** What a service wants before it does what it was asked (RFC 9470). */
export interface StepUp {
  /** The authentication context classes that would do. */
  acrValues: string[];
  /** How long ago the last sign-in may have been, in seconds. */
  maxAge: number | undefined;
  /** The address that was asked. */
  url: string;
}

/** Asks the person to sign in again or to confirm; returns whether they did, and the request is repeated then. */
export type OnStepUp = (wanted: StepUp) => Promise<boolean> | boolean;

/** What a 401 says in `WWW-Authenticate` (RFC 6750, RFC 9470). */
export type Challenge = "invalid_token" | "step_up" | undefined;

export function challengeOf(header: string | null | undefined): Challenge {
  const error = header?.match(/\berror\s*=\s*"?([\w.-]+)/i)?.[1];
  if (error === "insufficient_user_authentication") return "step_up";
  return error === "invalid_token" ? "invalid_token" : undefined;
}

/** Decides which requests get a token, and what becomes of those that are refused. */
export class Authorizer {
  private steppingUp: Promise<boolean> | undefined;

  constructor(
    private readonly session: Session,
    private readonly origins: ReadonlySet<string>,
    private readonly base: string | undefined,
    private readonly onStepUp: OnStepUp | undefined,
  ) {}

  /** Whether requests to this address carry the token. */
  isListed(url: string): boolean {
    try {
      return this.origins.has(new URL(url, this.base).origin);
    } catch {
      return false;
    }
  }

  token(): Promise<string | undefined> {
    return this.session.token();
  }

  /** Returns the token to repeat a refused request with; `undefined` where it is not repeated. */
  async after401(
    header: string | null | undefined,
    url: string,
    token: string,
    canRepeat: boolean,
  ): Promise<string | undefined> {
    const challenge = challengeOf(header);
    if (challenge === "step_up") {
      const done = await this.stepUp(header ?? "", url);
      return done && canRepeat ? this.session.token() : undefined;
    }
    if (challenge !== "invalid_token") return undefined;
    const replacement = this.session.replacementOf(token);
    if (canRepeat) return replacement;
    // It cannot be sent again, but the next one is spared the same.
    replacement.catch(() => undefined);
    return undefined;
  }

  /** Requests that are refused at once share one question. */
  private stepUp(header: string, url: string): Promise<boolean> {
    if (!this.onStepUp) return Promise.resolve(false);
    const maxAge = header.match(/\bmax_age\s*=\s*"?(\d+)/)?.[1];
    const wanted: StepUp = {
      acrValues: header.match(/\bacr_values\s*=\s*"([^"]*)"/)?.[1]?.split(" ") ?? [],
      maxAge: maxAge === undefined ? undefined : Number(maxAge),
      url,
    };
    this.steppingUp ??= Promise.resolve(this.onStepUp(wanted)).finally(() => {
      this.steppingUp = undefined;
    });
    return this.steppingUp;
  }
}

/** Returns a function like `fetch` that adds the token. */
export function authorizedFetch(environment: Environment, authorizer: Authorizer): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
    if (!authorizer.isListed(url) || headers.has("authorization")) return environment.fetch(input, init);
    const token = await authorizer.token();
    if (!token) return environment.fetch(input, init);
    const canRepeat = !(init?.body instanceof ReadableStream);
    const send = (bearer: string, source: typeof input) => {
      headers.set("authorization", `Bearer ${bearer}`);
      return environment.fetch(source, { ...init, headers });
    };
    // The body of a `Request` can be read once, so that the first try gets a copy.
    const response = await send(token, input instanceof Request && input.body ? input.clone() : input);
    if (response.status !== 401) return response;
    const next = await authorizer.after401(response.headers.get("www-authenticate"), url, token, canRepeat);
    if (!next) return response;
    // An unread body holds its connection.
    await response.body?.cancel();
    return send(next, input);
  };
}
