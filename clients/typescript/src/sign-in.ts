// Signing in, in one step or two, and signing out.
import { type Schemas, STEP_UP } from "./api.js";
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

/** What somebody signs in with who has a passkey: what the browser returned for the options of the service. */
export interface PasskeyProof {
  /** The `ceremony_token` of the options. */
  ceremonyToken: string;
  /** `PublicKeyCredential.toJSON()` of what the browser returned. */
  credential: Schemas["AssertionCredential"];
  /** Whether the browser keeps the session after it is closed. */
  persistSession?: boolean;
  /** A name for the device, shown in the list of sessions. */
  deviceName?: string;
}

/** What gets somebody back in who has no password and lost their passkeys. */
export interface Recovery {
  /** The token in the link of the mail of `/v1/auth/password/forgot`. */
  token: string;
  /** A backup code. */
  code: string;
  /** A password, in place of a new passkey. */
  newPassword?: string;
}

export interface LogoutOptions {
  /** Whether every session of the account ends. */
  allDevices?: boolean;
}

/** One more proof of who is signed in: the password, or a code where there is a second factor. */
export type Proof = { password: string } | { code: string } | Pick<PasskeyProof, "ceremonyToken" | "credential">;

/** A passkey that was made as a first factor: what the browser returned for the options of `setUpPasskey`. */
export interface MadePasskey {
  /** The `ceremony_token` of the options. */
  ceremonyToken: string;
  /** `PublicKeyCredential.toJSON()` of what the browser returned. */
  credential: Schemas["RegistrationCredential"];
  /** What its owner calls it. */
  name?: string;
}

/** A first factor that is on, of a sign-in that waited for it. */
export interface EnabledFactor {
  /** Ten codes for the day the phone is lost. They are shown this once. */
  backupCodes: string[];
  /** Begins the session, once the codes are kept. */
  enter(): void;
}

export interface LogoutResult {
  /** Whether the service said so. If not, it is told as soon as it can be reached and this page is open. */
  confirmed: boolean;
}

/** What the service says of a sign-in, or of what leads to one. */
type Answer = Schemas["LoginResponse"] | Schemas["PasswordSetResponse"];

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

  login(credentials: Credentials): Promise<void> {
    return this.enter("/v1/auth/login", bodyOf(credentials));
  }

  loginWithPasskey({ ceremonyToken, credential, persistSession, deviceName }: PasskeyProof): Promise<void> {
    const body = { ceremony_token: ceremonyToken, credential };
    return this.enter("/v1/auth/passkey/verify", { ...body, persist_session: persistSession, device_name: deviceName });
  }

  /** Sends link and code. A passkey is to be made then, which ends in a session; a password is there to sign in with. */
  recoverAccount({ token, code, newPassword }: Recovery): Promise<void> {
    return this.enter("/v1/auth/password/recover", { token, code: plain(code), new_password: newPassword });
  }

  private async enter(path: string, body: object): Promise<void> {
    this.session.start();
    // The response to a refresh or a sign-out sets the cookie too, and would replace the one of this sign-in.
    await Promise.all([this.session.quiet(), this.leaving]);
    this.environment.clearTimeout(this.timer);
    const { departures } = this;
    try {
      this.take((await this.service.call("post", path, { body })) as Answer, departures);
    } catch (error) {
      if (!(error instanceof ProblemError && error.code === "password_expired" && error.sessionToken)) throw error;
      this.session.holding.suspend({ sessionToken: error.sessionToken });
    }
  }

  /** A session begins, or something is missing before one does. */
  private take(answer: Answer, departures: number): void {
    const { holding } = this.session;
    if (answer.status === "mfa_required") {
      holding.suspend({ sessionToken: answer.session_token, methods: answer.methods });
    } else if (answer.status === "mfa_enrolment_required") {
      holding.suspend({ sessionToken: answer.session_token, enrolment: answer.methods });
    } else if (answer.status !== "password_changed") {
      this.begin(answer, departures);
    }
  }

  /** Returns a secret for the authenticator app of a sign-in that waits for one. */
  async setUpFactor(): Promise<Schemas["SetUpTotpResponse"]> {
    const body = { session_token: this.session.holding.pendingToken() };
    return (await this.pending("/v1/mfa/totp/setup", body)) as Schemas["SetUpTotpResponse"];
  }

  /** Enables the app with a code of it; the session begins when its caller says so. */
  async enableFactor(code: string): Promise<EnabledFactor> {
    const { departures } = this;
    const body = { session_token: this.session.holding.pendingToken(), code: plain(code) };
    const answer = (await this.pending("/v1/mfa/totp/enable", body)) as Schemas["EnableTotpResponse"];
    return this.enabled(answer, departures);
  }

  /** Returns the options of a passkey that is to be the first factor of a sign-in that waits for one. */
  async setUpPasskey(): Promise<Schemas["PasskeyCreationResponse"]> {
    const body = { session_token: this.session.holding.pendingToken() };
    return (await this.pending("/v1/passkeys/options", body)) as Schemas["PasskeyCreationResponse"];
  }

  /** Adds that passkey; the session begins when its caller says so. */
  async enablePasskey({ ceremonyToken, credential, name }: MadePasskey): Promise<EnabledFactor> {
    const { departures } = this;
    const token = this.session.holding.pendingToken();
    const body = { session_token: token, ceremony_token: ceremonyToken, credential, name };
    const answer = (await this.pending("/v1/passkeys", body)) as Schemas["AddedPasskeyResponse"];
    return this.enabled(answer, departures);
  }

  private enabled(
    { session, backup_codes }: Pick<Schemas["AddedPasskeyResponse"], "session" | "backup_codes">,
    departures: number,
  ): EnabledFactor {
    if (!session || !backup_codes) throw new NetworkError("The response is not one of the service.");
    return { backupCodes: backup_codes, enter: () => this.begin(session, departures) };
  }

  /** Proves once more who is signed in. The cookie says whose session it is where the token is over. */
  async stepUp(proof: Proof): Promise<void> {
    const { held, epoch } = this.session.holding;
    const headers = held && !held.isOver() ? { authorization: `Bearer ${held.token}` } : undefined;
    const body =
      "code" in proof
        ? { code: plain(proof.code) }
        : "credential" in proof
          ? { ceremony_token: proof.ceremonyToken, credential: proof.credential }
          : proof;
    const answer = await this.service.call("post", STEP_UP, { body, headers });
    if (this.session.holding.epoch === epoch) this.session.raise(answer as Schemas["RaisedSessionResponse"]);
  }

  /** Spaces are left out: people paste "123 456". */
  verifyMfa(code: string): Promise<void> {
    return this.complete("/v1/auth/mfa/verify", { code: plain(code) });
  }

  rotatePassword(newPassword: string): Promise<void> {
    return this.complete("/v1/auth/password/rotate", { new_password: newPassword });
  }

  private async complete(path: string, proof: object): Promise<void> {
    const body = { session_token: this.session.holding.pendingToken(), ...proof };
    const { departures } = this;
    this.take((await this.pending(path, body)) as Schemas["LoginResponse"], departures);
  }

  /** Sends what a sign-in still needs. */
  private async pending(path: string, body: object): Promise<unknown> {
    try {
      return await this.service.call("post", path, { body });
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

function plain(code: string): string {
  return code.replace(/\s+/g, "");
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
