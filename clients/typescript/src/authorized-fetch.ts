// `fetch` with the access token, for listed origins only. A refused token is replaced and the request repeated once, if it
// can be; a request that wants a stronger sign-in goes to the application's callback, and never to a refresh.
import type { Environment } from "./environment.js";
import type { Session } from "./session.js";
import { errorOf, type Question, stepUpOf } from "./step-up.js";

/** What a 401 says in `WWW-Authenticate` (RFC 6750, RFC 9470). */
export type Challenge = "invalid_token" | "step_up" | undefined;

export function challengeOf(header: string | null | undefined): Challenge {
  const error = errorOf(header);
  if (error === "insufficient_user_authentication") return "step_up";
  return error === "invalid_token" ? "invalid_token" : undefined;
}

/** Decides which requests get a token, and what becomes of those that are refused. */
export class Authorizer {
  constructor(
    private readonly session: Session,
    private readonly origins: ReadonlySet<string>,
    private readonly base: string | undefined,
    private readonly question: Question,
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
    const wanted = stepUpOf(header, url);
    if (wanted) return (await this.question.ask(wanted)) && canRepeat ? this.session.token() : undefined;
    const challenge = challengeOf(header);
    if (challenge !== "invalid_token") return undefined;
    const replacement = this.session.replacementOf(token);
    if (canRepeat) return replacement;
    // It cannot be sent again, but the next one is spared the same.
    replacement.catch(() => undefined);
    return undefined;
  }
}

/**
 * Returns a function like `fetch` that adds the token. Whoever limits the time of a request leaves the question for a stronger
 * sign-in to themselves (`asks`): people take as long as they take.
 */
export function authorizedFetch(environment: Environment, authorizer: Authorizer, asks = true): typeof fetch {
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
    const challenge = response.headers.get("www-authenticate");
    if (!asks && challengeOf(challenge) === "step_up") return response;
    const next = await authorizer.after401(challenge, url, token, canRepeat);
    if (!next) return response;
    // An unread body holds its connection.
    await response.body?.cancel();
    return send(next, input);
  };
}
