// When the token is refreshed, and what a failure costs: a pause. Only a 401 of the refresh ends the session. All who want a
// new token at once share one refresh; the tabs share it as well, as far as the browser lets them.
import type { Schemas, User } from "./api.js";
import { Backoff } from "./backoff.js";
import type { Environment } from "./environment.js";
import { NetworkError, ProblemError, SignedOutError } from "./errors.js";
import { sessionOf, type Holding } from "./holding.js";
import type { Service } from "./service.js";
import type { SignedOutReason } from "./state.js";
import type { StepUp } from "./step-up.js";
import type { Tabs } from "./tabs.js";

/** How often a visible tab looks at the clocks, milliseconds: timers stand still while a computer sleeps. */
const LOOK = 30_000;

/** What the session does about the outcome of a refresh. */
export interface Outcome {
  /** Passes the token on to the other tabs. */
  share(): void;
  end(reason: SignedOutReason): void;
  /** Whether the application can be asked for a stronger sign-in. */
  readonly canStepUp: boolean;
  /** Asks for one; returns whether the person proved who they are, and a new token is held. */
  stepUp(wanted: StepUp): Promise<boolean>;
}

export class Refresher {
  private readonly backoff: Backoff;
  private refreshing: Promise<string> | undefined;
  private timer: unknown;
  private isOpen = false;

  constructor(
    private readonly environment: Environment,
    private readonly service: Service,
    private readonly holding: Holding,
    private readonly tabs: Tabs,
    private readonly outcome: Outcome,
  ) {
    this.backoff = new Backoff(environment);
  }

  open(): void {
    this.isOpen = true;
    this.look();
  }

  close(): void {
    this.isOpen = false;
    this.environment.clearTimeout(this.timer);
  }

  /** The session ended, or another one came from elsewhere: what failed before is forgotten. */
  reset(): void {
    this.backoff.reset();
    if (!this.holding.owner) this.refreshing = undefined;
    this.schedule();
  }

  /** Whether a request of the application may cause a refresh now. */
  mayTry(): boolean {
    return this.backoff.mayTry();
  }

  /** Done when no refresh is under way, whatever came of it. */
  async quiet(): Promise<void> {
    await this.refreshing?.catch(() => undefined);
  }

  /**
   * Returns a new token, from the service or from another tab, where one younger than 30 seconds is always good enough. All
   * callers at once share one refresh.
   */
  refresh({ mustBeFresh }: { mustBeFresh: boolean }): Promise<string> {
    if (this.refreshing) return this.refreshing;
    const running = this.renew(mustBeFresh).finally(() => {
      if (this.refreshing === running) this.refreshing = undefined;
    });
    this.refreshing = running;
    return running;
  }

  background(): void {
    // What goes wrong is in the state, and the next try is scheduled.
    this.refresh({ mustBeFresh: false }).catch(() => undefined);
  }

  private async renew(mustBeFresh: boolean): Promise<string> {
    const { holding } = this;
    const { epoch } = holding;
    const isEnough = this.isReplaced(mustBeFresh);
    const hasToken = () => isEnough() || holding.lacksUser();
    try {
      const asked = this.tabs.asked(hasToken);
      await this.tabs.locked(async () => {
        // Whoever had the lock before may have refreshed: its message need not have arrived before the lock did.
        if (!(await asked()) && !hasToken()) await this.tabs.asked(hasToken)();
        if (!hasToken()) await this.exchange(epoch);
        if (holding.lacksUser()) await this.readUser();
      }, isEnough);
    } catch (error) {
      const wanted = error instanceof ProblemError && holding.epoch === epoch ? error.stepUp : undefined;
      if (wanted) await this.raise(wanted, epoch);
      else this.recover(error, epoch);
    }
    if (!holding.held) throw new SignedOutError();
    this.backoff.reset();
    return holding.held.token;
  }

  /**
   * The service lets the session on with nothing less than a stronger sign-in: the application is asked for one, and the session
   * ends here if there is none. No lock is held meanwhile, because people take as long as they take.
   */
  private async raise(wanted: StepUp, epoch: number): Promise<void> {
    if (!(await this.outcome.stepUp(wanted))) {
      if (this.holding.epoch === epoch) this.outcome.end("session_ended");
    } else if (this.holding.lacksUser()) {
      await this.readUser().catch((error) => this.recover(error, this.holding.epoch));
    }
  }

  /** Returns whether a message of another tab has brought what the refresh that begins now is to bring. */
  private isReplaced(mustBeFresh: boolean): () => boolean {
    const { holding } = this;
    const { epoch, held } = holding;
    const isNew = () =>
      holding.held !== held && !!holding.held && (mustBeFresh ? holding.held.isFresh() : holding.held.untilDue() > 0);
    return () => holding.epoch !== epoch || isNew();
  }

  /** Fails with what went wrong, unless it went wrong for a session that another one has replaced. */
  private recover(error: unknown, epoch: number): void {
    const { owner, held, user } = this.holding;
    if (this.holding.epoch !== epoch && (!owner || (held && user))) return;
    this.backoff.failed(error);
    const isOurs = error instanceof ProblemError || error instanceof NetworkError;
    this.holding.setTrouble(isOurs ? error : new NetworkError(undefined, error));
    this.schedule();
    throw error;
  }

  /** Exchanges the refresh token in the browser's cookie for an access token. */
  private async exchange(epoch: number): Promise<void> {
    let answer: Schemas["RefreshResponse"];
    try {
      answer = (await this.service.call("post", "/v1/auth/refresh")) as Schemas["RefreshResponse"];
    } catch (error) {
      if (this.holding.epoch !== epoch) return;
      if (!(error instanceof ProblemError) || error.status !== 401) throw error;
      if (error.stepUp && this.outcome.canStepUp) throw error;
      return this.outcome.end(this.holding.owner ? "session_ended" : "none");
    }
    if (this.holding.epoch !== epoch) return;
    this.holding.adopt(sessionOf(answer));
    this.schedule();
    if (!this.holding.lacksUser()) this.outcome.share();
  }

  /** Reads whose token it is. The others get the token all the same if that fails, so that nobody else refreshes. */
  private async readUser(): Promise<void> {
    const { epoch, held } = this.holding;
    if (!held) return;
    const isMine = () => this.holding.epoch === epoch;
    try {
      const headers = { authorization: `Bearer ${held.token}` };
      const user = (await this.service.call("get", "/v1/users/me", { headers })) as User;
      if (isMine()) this.holding.setUser(user);
    } catch (error) {
      // A refused token is worth another refresh, which tells whether the session is over.
      if (isMine() && error instanceof ProblemError && error.status === 401) this.holding.held = undefined;
      throw error;
    } finally {
      if (isMine()) this.outcome.share();
    }
  }

  /** Refreshes if it is time to, and comes back when it may be. */
  look(): void {
    const isDue = this.isLacking() || (this.environment.isVisible() && this.holding.held?.untilDue() === 0);
    if (isDue && this.backoff.isOpen()) this.background();
    else this.schedule();
  }

  /**
   * Whether something is missing that does not wait until the page is seen. After a refresh that failed too: the service may
   * have rotated and its response got lost, and only within the grace period does it give it again.
   */
  private isLacking(): boolean {
    const { isRestoring, owner, held, user } = this.holding;
    return isRestoring || (!!owner && (!held || !user || this.backoff.isFailing()));
  }

  schedule(): void {
    this.environment.clearTimeout(this.timer);
    const isLacking = this.isLacking();
    const { held } = this.holding;
    if (!this.isOpen || (!isLacking && !held)) return;
    // A tab that nobody sees refreshes when it is seen, or when it sends a request.
    if (!isLacking && !this.environment.isVisible()) return;
    const due = isLacking ? 0 : (held?.untilDue() ?? 0);
    const pause = Math.min(LOOK, Math.max(due, this.backoff.remaining()));
    this.timer = this.environment.setTimeout(() => this.lookAgain(), pause);
  }

  private lookAgain(): void {
    if (this.backoff.remaining() > 0) this.schedule();
    else this.look();
  }
}
