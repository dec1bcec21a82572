// The session of one tab: who is signed in, with which token, and when it is refreshed. The rules it keeps:
// only a 401 of the refresh ends a session; one refresh at a time; whatever comes back after a sign-out is discarded; a
// token of another person drops everything of the one before.
import type { Schemas, User } from "./api.js";
import { Backoff } from "./backoff.js";
import type { Environment } from "./environment.js";
import { NetworkError, ProblemError, SignedOutError } from "./errors.js";
import { Held, ownerOf, type Owner } from "./lifetime.js";
import type { Service } from "./service.js";
import { isEqual, Observed, type AuthState, type SignedOutReason, type Trouble } from "./state.js";
import { Tabs, type Message, type SharedEnd, type SharedSession } from "./tabs.js";

/** How often a visible tab looks at the clocks, milliseconds: timers stand still while a computer sleeps. */
const LOOK = 30_000;
/** Sessions that are over, so that no message brings one back; more than this many are not remembered. */
const REMEMBERED_ENDS = 16;

type Pending =
  { methods: Schemas["MfaRequired"]["methods"]; sessionToken: string } | { methods?: undefined; sessionToken: string };
type NewSession = { token: string; owner: Owner; lifetime: number; age?: number; user?: User | undefined };

export class Session {
  readonly observed = new Observed();
  private readonly tabs: Tabs;
  private readonly backoff: Backoff;
  private held: Held | undefined;
  private owner: Owner | undefined;
  private user: User | undefined;
  private pending: Pending | undefined;
  private reason: SignedOutReason = "none";
  private trouble: Trouble = null;
  private isRestoring = true;
  private isOpen = false;
  /** Grows whenever a session begins or ends; what was begun under another number is discarded. */
  private epoch = 0;
  private refreshing: Promise<string> | undefined;
  private timer: unknown;
  private stopWaking: (() => void) | undefined;
  private readonly ended = new Set<string>();
  private readonly userListeners = new Set<(user: User | null) => void>();

  constructor(
    private readonly environment: Environment,
    private readonly service: Service,
    suffix: string,
  ) {
    this.backoff = new Backoff(environment);
    this.tabs = new Tabs(environment, suffix, (message) => this.hear(message));
  }

  /** Finds out whether somebody is signed in, and keeps the token alive from then on. Once is enough; twice is no harm. */
  start(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.tabs.open();
    this.stopWaking = this.environment.onWake(() => this.wake());
    this.look();
  }

  close(): void {
    this.isOpen = false;
    this.stopWaking?.();
    this.environment.clearTimeout(this.timer);
    this.tabs.close();
  }

  currentEpoch(): number {
    return this.epoch;
  }

  currentToken(): string | undefined {
    return this.held?.token;
  }

  onUserChange(listener: (user: User | null) => void): () => void {
    this.userListeners.add(listener);
    return () => void this.userListeners.delete(listener);
  }

  /** Returns the token to send; `undefined` where nobody is signed in. Fails where it is over and cannot be replaced now. */
  async token(): Promise<string | undefined> {
    this.start();
    if (!this.isRestoring && !this.owner) return undefined;
    if (this.held && this.user && !this.held.isNearlyOver()) return this.held.token;
    try {
      if (!this.backoff.mayTry()) throw this.trouble ?? new NetworkError();
      return await this.refresh({ mustBeFresh: false });
    } catch (error) {
      if (error instanceof SignedOutError) return undefined;
      if (this.held && !this.held.isOver()) return this.held.token;
      throw error;
    }
  }

  /**
   * Returns the token to repeat a request with whose token was refused, or `undefined` where repeating is no use: nobody is
   * signed in any more, or the refused token is so fresh that the next would be refused as well.
   */
  async replacementOf(refused: string): Promise<string | undefined> {
    if (!this.held) return undefined;
    if (this.held.token !== refused) return this.held.token;
    if (this.held.isFresh()) {
      this.held.suspect();
      this.schedule();
      return undefined;
    }
    try {
      return await this.refresh({ mustBeFresh: true });
    } catch (error) {
      if (error instanceof SignedOutError) return undefined;
      throw error;
    }
  }

  /**
   * Returns a new token, from the service or from another tab, where one younger than 30 seconds is always good enough. All
   * callers at once share one refresh.
   */
  refresh({ mustBeFresh }: { mustBeFresh: boolean }): Promise<string> {
    this.start();
    if (this.refreshing) return this.refreshing;
    const running = this.renew(mustBeFresh).finally(() => {
      if (this.refreshing === running) this.refreshing = undefined;
    });
    this.refreshing = running;
    return running;
  }

  /** Done when no refresh is under way, whatever came of it. */
  async quiet(): Promise<void> {
    await this.refreshing?.catch(() => undefined);
  }

  private async renew(mustBeFresh: boolean): Promise<string> {
    const { epoch, held } = this;
    const isEnough = () =>
      this.epoch !== epoch ||
      (this.held !== held && !!this.held && (mustBeFresh ? this.held.isFresh() : this.held.untilDue() > 0));
    // A session without its user is one whose profile could not be read: the token is good.
    const hasToken = () => isEnough() || this.lacksUser();
    try {
      const asked = this.tabs.asked(hasToken);
      await this.tabs.locked(async () => {
        // Whoever had the lock before may have refreshed: its message need not have arrived before the lock did.
        if (!(await asked()) && !hasToken()) await this.tabs.asked(hasToken)();
        if (!hasToken()) await this.exchange(epoch);
        if (this.lacksUser()) await this.readUser();
      }, isEnough);
    } catch (error) {
      this.recover(error, epoch);
    }
    if (!this.held) throw new SignedOutError();
    this.backoff.reset();
    return this.held.token;
  }

  /** Fails with what went wrong, unless it went wrong for a session that another one has replaced. */
  private recover(error: unknown, epoch: number): void {
    if (this.epoch !== epoch && (!this.owner || (this.held && this.user))) return;
    this.failed(error);
    throw error;
  }

  private lacksUser(): boolean {
    return !!this.held && !this.user && !this.held.isNearlyOver();
  }

  /** Exchanges the refresh token in the browser's cookie for an access token. */
  private async exchange(epoch: number): Promise<void> {
    let answer: Schemas["RefreshResponse"];
    try {
      answer = (await this.service.call("post", "/v1/auth/refresh")) as Schemas["RefreshResponse"];
    } catch (error) {
      if (this.epoch !== epoch) return;
      if (!(error instanceof ProblemError) || error.status !== 401) throw error;
      return this.end(this.owner ? "session_ended" : "none");
    }
    if (this.epoch !== epoch) return;
    this.adopt(readable(() => newSession(answer)));
    if (!this.lacksUser()) this.share();
  }

  /** Reads whose token it is. The others get the token all the same if that fails, so that nobody else refreshes. */
  private async readUser(): Promise<void> {
    const { epoch, held } = this;
    if (!held) return;
    try {
      const headers = { authorization: `Bearer ${held.token}` };
      const user = (await this.service.call("get", "/v1/users/me", { headers })) as User;
      if (this.epoch === epoch) this.setUser(user);
    } catch (error) {
      // A refused token is worth another refresh, which tells whether the session is over.
      if (this.epoch === epoch && error instanceof ProblemError && error.status === 401) this.held = undefined;
      throw error;
    } finally {
      if (this.epoch === epoch) this.share();
    }
  }

  /** Takes over what is known of the signed-in person now, and tells the other tabs. */
  learnUser(user: User, epoch: number): void {
    if (this.epoch !== epoch || this.owner?.sub !== user.user_id) return;
    this.setUser(user);
    this.share();
  }

  private setUser(user: User): void {
    const isFirst = !this.user;
    this.user = isEqual(this.user, user) ? this.user : user;
    if (isFirst) this.announce(user);
    this.publish();
  }

  private announce(user: User | null): void {
    for (const listener of [...this.userListeners]) listener(user);
  }

  /** A sign-in succeeded in this tab. */
  begin(answer: Schemas["SessionResponse"]): void {
    this.adopt(readable(() => newSession(answer)));
    this.backoff.reset();
    this.share();
  }

  /** The password was right and something is still missing. */
  suspend(pending: Pending): void {
    this.isRestoring = false;
    this.pending = pending;
    this.publish();
  }

  /** A sign-in that was not completed is given up. */
  cancel(): void {
    this.pending = undefined;
    this.publish();
  }

  pendingToken(): string {
    if (!this.pending) throw new SignedOutError("There is no sign-in to complete; begin it again.");
    return this.pending.sessionToken;
  }

  /** Ends the session here and in the other tabs. The service is told by whoever calls this. */
  end(reason: SignedOutReason): void {
    const sid = this.owner?.sid;
    this.drop(reason, sid);
    // A tab that never had a session knows nothing about those of others.
    if (reason === "logged_out" || (reason === "session_ended" && sid))
      this.tabs.tell({ type: "signed_out", sid, reason });
  }

  /** Sessions that the service ended, by their ids. */
  forget(sids: readonly string[]): void {
    for (const sid of sids) this.remember(sid);
    if (this.owner && sids.includes(this.owner.sid)) this.end("logged_out");
  }

  /** The service could not be told of a sign-out yet; `null` when it was. */
  setTrouble(trouble: Trouble): void {
    this.trouble = trouble;
    this.publish();
  }

  private drop(reason: SignedOutReason, sid: string | undefined): void {
    if (sid) this.remember(sid);
    const hadUser = !!this.user;
    this.epoch += 1;
    this.refreshing = undefined;
    this.held = this.owner = this.user = undefined;
    // A sign-in that waits for its code has nothing to do with the session that ended.
    this.isRestoring = false;
    this.reason = reason;
    this.trouble = null;
    this.backoff.reset();
    this.environment.clearTimeout(this.timer);
    if (hadUser) this.announce(null);
    this.publish();
  }

  private remember(sid: string): void {
    this.ended.add(sid);
    const [oldest] = this.ended;
    if (this.ended.size > REMEMBERED_ENDS && oldest) this.ended.delete(oldest);
  }

  private adopt({ token, owner, lifetime, age = 0, user }: NewSession): void {
    if (owner.sid !== this.owner?.sid) this.epoch += 1;
    const known = user ?? this.user;
    const next = known?.user_id === owner.sub ? known : undefined;
    const isOther = next?.user_id !== this.user?.user_id;
    this.held = new Held(this.environment, token, lifetime, age);
    this.owner = owner;
    this.user = isEqual(this.user, next) ? this.user : next;
    this.pending = undefined;
    this.isRestoring = false;
    this.trouble = null;
    if (isOther) this.announce(next ?? null);
    this.publish();
    this.schedule();
  }

  private failed(error: unknown): void {
    this.backoff.failed(error);
    this.trouble =
      error instanceof ProblemError || error instanceof NetworkError ? error : new NetworkError(undefined, error);
    this.publish();
    this.schedule();
  }

  private publish(): void {
    this.observed.set(this.state());
  }

  private state(): AuthState {
    const nobody = { user: null, accessToken: null } as const;
    if (this.pending?.methods)
      return { status: "mfa_required", ...nobody, methods: this.pending.methods, trouble: null };
    if (this.pending) return { status: "password_expired", ...nobody, trouble: null };
    const { held, user, trouble } = this;
    if (held && user) return { status: "signed_in", user, accessToken: held.token, trouble };
    if (this.isRestoring || this.owner) return { status: "restoring", ...nobody, trouble };
    return { status: "signed_out", ...nobody, reason: this.reason, trouble };
  }

  private share(): void {
    if (!this.held) return;
    const { token, lifetime } = this.held;
    const [age, sent] = [this.held.age(), this.environment.now()];
    this.tabs.tell({ type: "session", token, lifetime, age, sent, user: this.user });
  }

  private hear(message: Message): void {
    if (message.type === "ask") this.respond();
    else if (message.type === "signed_out") this.hearEnd(message);
    else this.hearSession(message);
  }

  /** A page that comes back from the browser's cache has missed a sign-out; this tells it. */
  private respond(): void {
    if (this.held && !this.held.isNearlyOver()) return this.share();
    const sid = [...this.ended].at(-1);
    if (!this.owner && sid) this.tabs.tell({ type: "signed_out", sid, reason: "session_ended" });
  }

  private hearEnd({ sid, reason }: SharedEnd): void {
    if (sid) this.remember(sid);
    // The cookie is one for all tabs, so a sign-out means every session of this browser.
    const isMeant = reason === "logged_out" || sid === this.owner?.sid;
    if (isMeant && (this.owner || this.isRestoring)) this.drop(reason, this.owner?.sid);
  }

  private hearSession(message: SharedSession): void {
    const { token, lifetime, user } = message;
    // A message may have waited for longer than the token lives: in a tab that was frozen, or while the computer slept.
    const age = message.age + Math.max(0, this.environment.now() - message.sent);
    const owner = attempt(() => ownerOf(token));
    if (!owner || this.ended.has(owner.sid) || age >= lifetime) return;
    if (this.held?.token === token) {
      if (user && user.user_id === owner.sub && !isEqual(user, this.user)) this.setUser(user);
    } else if (!this.held || age <= this.held.age()) {
      this.adopt({ token, owner, lifetime, age, user });
      this.backoff.reset();
      if (this.lacksUser()) this.background();
    }
  }

  private wake(): void {
    // A page that was stored away may have missed a sign-out.
    if (this.held) this.tabs.tell({ type: "ask" });
    this.look();
  }

  /** Refreshes if it is time to, and comes back when it may be. */
  private look(): void {
    const isDue = this.isLacking() || (this.environment.isVisible() && this.held?.untilDue() === 0);
    if (isDue && this.backoff.isOpen()) this.background();
    else this.schedule();
  }

  /**
   * Whether something is missing that does not wait until the page is seen. After a refresh that failed too: the service may
   * have rotated and its response got lost, and only within the grace period does it give it again.
   */
  private isLacking(): boolean {
    return this.isRestoring || (!!this.owner && (!this.held || !this.user || this.backoff.isFailing()));
  }

  private background(): void {
    // What goes wrong is in the state, and the next try is scheduled.
    this.refresh({ mustBeFresh: false }).catch(() => undefined);
  }

  private schedule(): void {
    this.environment.clearTimeout(this.timer);
    const isLacking = this.isLacking();
    if (!this.isOpen || (!isLacking && !this.held)) return;
    // A tab that nobody sees refreshes when it is seen, or when it sends a request.
    if (!isLacking && !this.environment.isVisible()) return;
    const due = isLacking ? 0 : (this.held?.untilDue() ?? 0);
    const pause = Math.min(LOOK, Math.max(due, this.backoff.remaining()));
    this.timer = this.environment.setTimeout(() => this.lookAgain(), pause);
  }

  private lookAgain(): void {
    if (this.backoff.remaining() > 0) this.schedule();
    else this.look();
  }
}

function newSession(answer: Schemas["RefreshResponse"] & { user?: User }): NewSession {
  const { access_token: token, expires_in: seconds, user } = answer;
  if (!(seconds > 0)) throw new TypeError("no lifetime in the response");
  return { token, owner: ownerOf(token), lifetime: seconds * 1000, user };
}

/** What is not as the service writes it comes from something in between: it counts as lost. */
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new NetworkError("The response is not one of the service.", cause);
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
