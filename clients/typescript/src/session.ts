// The session of one tab and those of the others: it begins and ends in all of them, and the token for requests comes from
// here. `Holding` is what there is, `Refresher` keeps it alive.
import type { Schemas, User } from "./api.js";
import type { Environment } from "./environment.js";
import { NetworkError, SignedOutError } from "./errors.js";
import { Holding, sessionOf } from "./holding.js";
import { ownerOf } from "./lifetime.js";
import { Refresher } from "./refresher.js";
import type { Service } from "./service.js";
import { isEqual, type SignedOutReason } from "./state.js";
import type { Question, StepUp } from "./step-up.js";
import { Tabs, type Message, type SharedEnd, type SharedSession } from "./tabs.js";

export class Session {
  readonly holding: Holding;
  private readonly tabs: Tabs;
  private readonly refresher: Refresher;
  private stopWaking: (() => void) | undefined;

  constructor(
    private readonly environment: Environment,
    service: Service,
    suffix: string,
    private readonly question: Question,
  ) {
    this.holding = new Holding(environment);
    this.tabs = new Tabs(environment, suffix, (message) => this.hear(message));
    this.refresher = new Refresher(environment, service, this.holding, this.tabs, this);
  }

  /** Finds out whether somebody is signed in, and keeps the token alive from then on. Once is enough; twice is no harm. */
  start(): void {
    if (this.stopWaking) return;
    this.tabs.open();
    this.stopWaking = this.environment.onWake(() => this.wake());
    this.refresher.open();
  }

  close(): void {
    this.stopWaking?.();
    this.refresher.close();
    this.tabs.close();
  }

  /** Returns the token to send; `undefined` where nobody is signed in. Fails where it is over and cannot be replaced now. */
  async token(): Promise<string | undefined> {
    this.start();
    const { isRestoring, owner, held, user, trouble } = this.holding;
    if (!isRestoring && !owner) return undefined;
    if (held && user && !held.isNearlyOver()) return held.token;
    try {
      if (!this.refresher.mayTry()) throw trouble ?? new NetworkError();
      return await this.refresher.refresh({ mustBeFresh: false });
    } catch (error) {
      if (error instanceof SignedOutError) return undefined;
      const left = this.holding.held;
      if (left && !left.isOver()) return left.token;
      throw error;
    }
  }

  /**
   * Returns the token to repeat a request with whose token was refused, or `undefined` where repeating is no use: nobody is
   * signed in any more, or the refused token is so fresh that the next would be refused as well.
   */
  async replacementOf(refused: string): Promise<string | undefined> {
    const { held } = this.holding;
    if (!held) return undefined;
    if (held.token !== refused) return held.token;
    if (held.isFresh()) {
      held.suspect();
      this.refresher.schedule();
      return undefined;
    }
    try {
      return await this.refresh();
    } catch (error) {
      if (error instanceof SignedOutError) return undefined;
      throw error;
    }
  }

  /** Returns a new token; fails with a `SignedOutError` where the session is over. */
  refresh(): Promise<string> {
    this.start();
    return this.refresher.refresh({ mustBeFresh: true });
  }

  /** Done when no refresh is under way, whatever came of it. */
  quiet(): Promise<void> {
    return this.refresher.quiet();
  }

  /** A sign-in succeeded in this tab. */
  begin(answer: Schemas["SessionResponse"]): void {
    this.holding.adopt(sessionOf(answer));
    this.refresher.reset();
    this.share();
  }

  /** Ends the session here and in the other tabs. The service is told by whoever calls this. */
  end(reason: SignedOutReason): void {
    const sid = this.holding.owner?.sid;
    this.drop(reason);
    // A tab that never had a session knows nothing about those of others.
    const isTold = reason === "logged_out" || (reason === "session_ended" && sid !== undefined);
    if (isTold) this.tabs.tell({ type: "signed_out", sid, reason });
  }

  get canStepUp(): boolean {
    return this.question.isPossible;
  }

  /** Asks for a stronger sign-in; returns whether there was one, and a new token is held. */
  async stepUp(wanted: StepUp): Promise<boolean> {
    return (await this.question.ask(wanted)) && !!this.holding.held && !this.holding.held.isOver();
  }

  /** The session goes on with another token, which says that its person proved more, or once more. */
  raise(answer: Schemas["RaisedSessionResponse"]): void {
    this.holding.adopt(sessionOf(answer));
    this.refresher.reset();
    if (!this.holding.lacksUser()) this.share();
  }

  /** Sessions that the service ended, by their ids. */
  forget(sids: readonly string[]): void {
    for (const sid of sids) this.holding.remember(sid);
    const { owner } = this.holding;
    if (owner && sids.includes(owner.sid)) this.end("logged_out");
  }

  /** Takes over what is known of the signed-in person now, and tells the other tabs. */
  learnUser(user: User, epoch: number): void {
    if (this.holding.epoch !== epoch || this.holding.owner?.sub !== user.user_id) return;
    this.holding.setUser(user);
    this.share();
  }

  /** Passes the token on to the other tabs. */
  share(): void {
    const { held, user } = this.holding;
    if (!held) return;
    const { token, lifetime } = held;
    this.tabs.tell({ type: "session", token, lifetime, age: held.age(), sent: this.environment.now(), user });
  }

  private drop(reason: SignedOutReason): void {
    this.holding.drop(reason);
    this.refresher.reset();
  }

  private hear(message: Message): void {
    if (message.type === "ask") this.respond();
    else if (message.type === "signed_out") this.hearEnd(message);
    else this.hearSession(message);
  }

  /** A page that comes back from the browser's cache has missed a sign-out; this tells it. */
  private respond(): void {
    const { held, owner } = this.holding;
    if (held && !held.isNearlyOver()) return this.share();
    const sid = this.holding.lastEnded();
    if (!owner && sid) this.tabs.tell({ type: "signed_out", sid, reason: "session_ended" });
  }

  private hearEnd({ sid, reason }: SharedEnd): void {
    if (sid) this.holding.remember(sid);
    const { owner, isRestoring } = this.holding;
    // The cookie is one for all tabs, so a sign-out means every session of this browser.
    const isMeant = reason === "logged_out" || sid === owner?.sid;
    if (isMeant && (owner || isRestoring)) this.drop(reason);
  }

  private hearSession(message: SharedSession): void {
    const { token, lifetime, user } = message;
    const { holding } = this;
    // A message may have waited for longer than the token lives: in a tab that was frozen, or while the computer slept.
    const age = message.age + Math.max(0, this.environment.now() - message.sent);
    const owner = attempt(() => ownerOf(token));
    if (!owner || holding.hasEnded(owner.sid) || age >= lifetime) return;
    if (holding.held?.token === token) {
      if (user && user.user_id === owner.sub && !isEqual(user, holding.user)) holding.setUser(user);
    } else if (!holding.held || age <= holding.held.age()) {
      holding.adopt({ token, owner, lifetime, age, user });
      this.refresher.reset();
      if (holding.lacksUser()) this.refresher.background();
    }
  }

  private wake(): void {
    // A page that was stored away may have missed a sign-out.
    if (this.holding.held) this.tabs.tell({ type: "ask" });
    this.refresher.look();
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
