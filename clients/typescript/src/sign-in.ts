// Signing in, in one step or two, and signing out.
import type { Schemas } from "./api.js";
import { Backoff } from "./backoff.js";
import type { Environment } from "./environment.js";
import { NetworkError, ProblemError, SignedOutError } from "./errors.js";
import type { Service } from "./service.js";
import type { Session } from "./session.js";

/** What somebody signs in with: a password, and one of the three names. */
export interface Credentials {
  /** An e-mail address or a username, as one field of a form takes it. */
  identifier?: string;
  email?: string;
  username?: string;
  password: string;
  /** Whether the browser keeps the session after it is closed. */
  persistSession?: boolean;
  /** A name for the device, shown in the list of sessions. */
  deviceName?: string;
}

export interface LogoutOptions {
  /** Whether every session of the account ends. */
  allDevices?: boolean;
}

export interface LogoutResult {
  /** Whether the service said so. If not, it is told as soon as it can be reached and this page is open. */
  confirmed: boolean;
}

/** How often the service is told of a sign-out that it did not hear of. */
const MOST_TRIES = 10;

export class SignIn {
  private leaving: Promise<unknown> | undefined;
  private timer: unknown;
  private departures = 0;

  constructor(
    private readonly environment: Environment,
    private readonly service: Service,
    private readonly session: Session,
  ) {}

  close(): void {
    this.environment.clearTimeout(this.timer);
  }

  async login(credentials: Credentials): Promise<void> {
    this.session.start();
    // The response to a refresh or a sign-out sets the cookie too, and would replace the one of this sign-in.
    await Promise.all([this.session.quiet(), this.leaving]);
    this.environment.clearTimeout(this.timer);
    const { departures } = this;
    try {
      const answer = (await this.service.call("post", "/v1/auth/login", {
        body: bodyOf(credentials),
      })) as Schemas["LoginResponse"];
      if (answer.status === "mfa_required") {
        this.session.holding.suspend({ sessionToken: answer.session_token, methods: answer.methods });
      } else {
        this.begin(answer, departures);
      }
    } catch (error) {
      if (!(error instanceof ProblemError && error.code === "password_expired" && error.sessionToken)) throw error;
      this.session.holding.suspend({ sessionToken: error.sessionToken });
    }
  }

  /** Spaces are left out: people paste "123 456". */
  verifyMfa(code: string): Promise<void> {
    return this.complete("/v1/auth/mfa/verify", { code: code.replace(/\s+/g, "") });
  }

  rotatePassword(newPassword: string): Promise<void> {
    return this.complete("/v1/auth/password/rotate", { new_password: newPassword });
  }

  private async complete(path: string, proof: object): Promise<void> {
    const body = { session_token: this.session.holding.pendingToken(), ...proof };
    const { departures } = this;
    try {
      this.begin((await this.service.call("post", path, { body })) as Schemas["SessionResponse"], departures);
    } catch (error) {
      // It took too long or was completed elsewhere: there is nothing left that a code could complete.
      if (error instanceof ProblemError && error.code === "invalid_session_token") this.session.holding.cancel();
      throw error;
    }
  }

  /** Somebody who signed out while the sign-in was under way stays signed out. */
  private begin(answer: Schemas["SessionResponse"], departures: number): void {
    if (departures === this.departures) return this.session.begin(answer);
    void this.tellService(answer.access_token, false);
    throw new SignedOutError();
  }

  async logout({ allDevices = false }: LogoutOptions = {}): Promise<LogoutResult> {
    const token = this.session.holding.held?.token;
    this.departures += 1;
    this.session.holding.cancel();
    this.session.end("logged_out");
    const telling = this.tellService(token, allDevices);
    this.leaving = telling;
    return { confirmed: await telling };
  }

  /** Returns whether the service was told; if not, it is tried again in the background until somebody signs in. */
  private async tellService(
    token: string | undefined,
    allDevices: boolean,
    backoff = new Backoff(this.environment),
    tries = 1,
  ): Promise<boolean> {
    const epoch = this.session.holding.epoch;
    try {
      const headers = token ? { authorization: `Bearer ${token}` } : undefined;
      const call = { body: { all_devices: allDevices }, headers, keepalive: true };
      const answer = (await this.service.call("post", "/v1/auth/logout", call)) as Schemas["LogoutResponse"];
      this.session.forget(answer.ended);
    } catch (error) {
      // There was nothing to end.
      if (error instanceof ProblemError && error.status === 401) return true;
      if (this.session.holding.epoch !== epoch) return false;
      this.session.holding.setTrouble(error instanceof ProblemError ? error : new NetworkError(undefined, error));
      if (tries < MOST_TRIES && isWorthAnother(error)) {
        backoff.failed(error);
        // A cookie of somebody who signed in meanwhile must not be signed out.
        const again = () =>
          this.session.holding.epoch === epoch && this.tellService(token, allDevices, backoff, tries + 1);
        this.timer = this.environment.setTimeout(() => (this.leaving = Promise.resolve(again())), backoff.remaining());
      }
      return false;
    }
    if (this.session.holding.epoch === epoch) this.session.holding.setTrouble(null);
    return true;
  }
}

function isWorthAnother(error: unknown): boolean {
  return !(error instanceof ProblemError) || error.status === 429 || error.status >= 500;
}

function bodyOf({
  identifier,
  email,
  username,
  password,
  persistSession,
  deviceName,
}: Credentials): Schemas["LoginRequest"] {
  const name = identifier?.trim();
  const names = name?.includes("@") ? { email: name } : { username: name };
  const given = name === undefined ? { email, username } : names;
  // `undefined` is left out of JSON.
  return { ...given, password, persist_session: persistSession, device_name: deviceName } as Schemas["LoginRequest"];
}
