// What an application holds: the session, requests with its token, and the operations of the service by method and path.
import {
  STEP_UP,
  takesToken,
  type Method,
  type OperationOf,
  type OptionalArgument,
  type OptionsOf,
  type PathsOf,
  type ResultOf,
  type Schemas,
  type User,
} from "./api.js";
import { Authorizer, authorizedFetch } from "./authorized-fetch.js";
import { attachAxios, type AxiosLike } from "./axios.js";
import { browserEnvironment, type Environment } from "./environment.js";
import { ProblemError } from "./errors.js";
import { Service, type Call } from "./service.js";
import { Session } from "./session.js";
import {
  SignIn,
  type Credentials,
  type EnabledFactor,
  type LogoutOptions,
  type LogoutResult,
  type MadePasskey,
  type PasskeyProof,
  type Proof,
  type Recovery,
} from "./sign-in.js";
import type { AuthState } from "./state.js";
import { type OnStepUp, Question } from "./step-up.js";

export interface ClientOptions {
  /** Where the service is; the origin of the page unless set. */
  baseUrl?: string;
  /** The origins whose requests carry the token, beside that of the service. */
  origins?: readonly string[];
  /** Called when a service wants a stronger or a newer sign-in (RFC 9470). */
  onStepUp?: OnStepUp;
  /** Milliseconds after which a response of the service counts as lost; 10 seconds unless set. */
  timeout?: number;
  /** What to use in place of the browser's clocks, network and so on. */
  environment?: Partial<Environment>;
}

/** One operation of the service: `client.get("/v1/sessions")`. */
export type Request<M extends Method> = <P extends PathsOf<M>>(
  path: P,
  ...options: OptionalArgument<OptionsOf<OperationOf<M, P>>>
) => Promise<ResultOf<OperationOf<M, P>>>;

export interface Client {
  /** Begins to find out who is signed in. Subscribing and sending requests do it as well. */
  start(): void;
  /** Ends timers and the connection to the other tabs. */
  close(): void;
  getSnapshot(): AuthState;
  subscribe(listener: () => void): () => void;
  /** Calls back when another person is signed in, or none: whatever was loaded for the one before must go. */
  onUserChange(listener: (user: User | null) => void): () => void;
  readonly user: User | null;
  readonly accessToken: string | null;

  /** Signs in; the returned state says whether something is still missing. Fails with a `ProblemError` or a `NetworkError`. */
  login(credentials: Credentials): Promise<AuthState>;
  /** Signs in with a passkey: with what the browser returned for the options of `/v1/auth/passkey/options`. */
  loginWithPasskey(proof: PasskeyProof): Promise<AuthState>;
  /** Completes a sign-in with a code of the second factor. */
  verifyMfa(code: string): Promise<AuthState>;
  /** Completes a sign-in whose password was too old. */
  rotatePassword(newPassword: string): Promise<AuthState>;
  /** Returns a secret for an authenticator app, of a sign-in that waits for one (`mfa_enrolment_required`). */
  setUpFactor(): Promise<Schemas["SetUpTotpResponse"]>;
  /** Enables that app with a code of it. Returns its backup codes; the session begins with `enter`, once they are kept. */
  enableFactor(code: string): Promise<EnabledFactor>;
  /** Returns the options of a passkey that is to be the first factor of a sign-in that waits for one. */
  setUpPasskey(): Promise<Schemas["PasskeyCreationResponse"]>;
  /** Adds that passkey as the browser made it. Returns backup codes; the session begins with `enter`, once they are kept. */
  enablePasskey(made: MadePasskey): Promise<EnabledFactor>;
  /**
   * Gets back in without password and passkeys, by the token of the mailed link and a backup code. The state waits for a passkey
   * then (`mfa_enrolment_required`); with `newPassword` it stays, and the password signs in.
   */
  recoverAccount(recovery: Recovery): Promise<AuthState>;
  /** Proves once more who is signed in: what `onStepUp` is called for. Fails with a `ProblemError` or a `NetworkError`. */
  stepUp(proof: Proof): Promise<AuthState>;
  /** Gives up a sign-in that waits for a code or a new password. */
  cancelLogin(): void;
  /** Signs out, here and in all tabs at once; then tells the service. Never fails. */
  logout(options?: LogoutOptions): Promise<LogoutResult>;
  /** Returns a new access token, or one that another tab got within 30 seconds; fails with a `SignedOutError` where the session is over. */
  refreshToken(): Promise<string>;
  /** Reads the account again, after a change of it. */
  reloadUser(): Promise<User>;

  /** `fetch` that adds the token for listed origins. */
  readonly authorizedFetch: typeof fetch;
  /** Adds the token to requests of an axios instance; returns what removes it again. */
  attachAxios(axios: AxiosLike): () => void;
  /** Returns a new key for a write that shall happen once. */
  idempotencyKey(): string;
  request<M extends Method, P extends PathsOf<M>>(
    method: M,
    path: P,
    ...options: OptionalArgument<OptionsOf<OperationOf<M, P>>>
  ): Promise<ResultOf<OperationOf<M, P>>>;
  readonly get: Request<"get">;
  readonly post: Request<"post">;
  readonly put: Request<"put">;
  readonly patch: Request<"patch">;
  readonly delete: Request<"delete">;
}

const PATIENCE = 10_000;

/** Returns a client. Nothing happens before it is used, so it can be made where a module is loaded, also on a server. */
export function createClient(options: ClientOptions = {}): Client {
  const environment: Environment = { ...browserEnvironment(), ...options.environment };
  const baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
  const base = environment.origin;
  const home = originOf(baseUrl || base, base);
  const service = new Service(environment, baseUrl, options.timeout ?? PATIENCE);
  // Tabs of one page may talk to several services; each has its own channel then.
  const question = new Question(options.onStepUp);
  const session = new Session(environment, service, home === base ? "" : `:${home}`, question);
  const signIn = new SignIn(environment, service, session);
  const listed = [home, ...(options.origins ?? []).map((origin) => originOf(origin, base))];
  const authorizer = new Authorizer(session, new Set(listed.filter((origin) => origin !== "")), base, question);
  const sendAuthorized = authorizedFetch(environment, authorizer);
  const sendOnce = authorizedFetch(environment, authorizer, false);
  const send = (method: Method, path: string, options: Call) =>
    service.call(method, path, options, takesToken(path) ? sendOnce : undefined);
  const call = async (method: Method, path: string, options: Call = {}) => {
    try {
      return await send(method, path, options);
    } catch (error) {
      // No limit of time is running: the person is asked, and the request sent once more.
      const mayAsk = takesToken(path) && path !== STEP_UP;
      const wanted = mayAsk && error instanceof ProblemError ? error.stepUp : undefined;
      if (!wanted || !(await question.ask(wanted))) throw error;
      return send(method, path, options);
    }
  };
  const operation = (method: Method) => ((path: string, options?: Call) => call(method, path, options)) as never;
  const snapshot = () => session.holding.observed.get();

  return {
    start: () => session.start(),
    close: () => (signIn.close(), session.close()),
    getSnapshot: snapshot,
    subscribe(listener) {
      const stop = session.holding.observed.subscribe(listener);
      session.start();
      return stop;
    },
    onUserChange: (listener) => session.holding.onUserChange(listener),
    get user() {
      return snapshot().user;
    },
    get accessToken() {
      return snapshot().accessToken;
    },
    login: (credentials) => signIn.login(credentials).then(snapshot),
    loginWithPasskey: (proof) => signIn.loginWithPasskey(proof).then(snapshot),
    verifyMfa: (code) => signIn.verifyMfa(code).then(snapshot),
    rotatePassword: (newPassword) => signIn.rotatePassword(newPassword).then(snapshot),
    setUpFactor: () => signIn.setUpFactor(),
    enableFactor: (code) => signIn.enableFactor(code),
    setUpPasskey: () => signIn.setUpPasskey(),
    enablePasskey: (made) => signIn.enablePasskey(made),
    recoverAccount: (recovery) => signIn.recoverAccount(recovery).then(snapshot),
    stepUp: (proof) => signIn.stepUp(proof).then(snapshot),
    cancelLogin: () => session.holding.cancel(),
    logout: (options) => signIn.logout(options),
    refreshToken: () => session.refresh(),
    async reloadUser() {
      const epoch = session.holding.epoch;
      const user = (await call("get", "/v1/users/me")) as Schemas["User"];
      session.learnUser(user, epoch);
      return user;
    },
    authorizedFetch: sendAuthorized,
    attachAxios: (axios) => attachAxios(axios, authorizer),
    idempotencyKey: () => environment.randomUUID(),
    request: ((method: Method, path: string, options?: Call) => call(method, path, options)) as never,
    get: operation("get"),
    post: operation("post"),
    put: operation("put"),
    patch: operation("patch"),
    delete: operation("delete"),
  };
}

/** Returns the origin of an address; fails for one that has none, because a list that means something else is worse than none. */
function originOf(address: string | undefined, base: string | undefined): string {
  if (!address) return "";
  const { origin } = new URL(address, base);
  if (origin === "null") throw new TypeError(`${address} has no origin that a token could be sent to`);
  return origin;
}
