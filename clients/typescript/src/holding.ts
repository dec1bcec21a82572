// What this tab holds: a token, whose it is, and what is still missing for a session. Whoever waits for something compares
// the epoch: what was begun under another one is discarded. A token of another person drops everything of the one before.
import type { Schemas, User } from "./api.js";
import type { Environment } from "./environment.js";
import { NetworkError, SignedOutError } from "./errors.js";
import { Held, ownerOf, type Owner } from "./lifetime.js";
import { isEqual, Observed, type AuthState, type SignedOutReason, type Trouble } from "./state.js";

/** Sessions that are over, so that no message brings one back; more than this many are not remembered. */
const REMEMBERED_ENDS = 16;

/** A sign-in that waits for a code, whose kinds are known, for a factor to be set up, or for another password. */
export interface Pending {
  sessionToken: string;
  methods?: Schemas["MfaRequired"]["methods"] | undefined;
  enrolment?: Schemas["EnrolmentRequired"]["methods"] | undefined;
}

/** A session as it begins or goes on: from the service, or from another tab. */
export interface NewSession {
  token: string;
  owner: Owner;
  /** Whole lifetime of the token in milliseconds. */
  lifetime: number;
  age?: number;
  user?: User | undefined;
}

export class Holding {
  readonly observed = new Observed();
  held: Held | undefined;
  owner: Owner | undefined;
  user: User | undefined;
  isRestoring = true;
  /** Grows whenever a session begins or ends. */
  epoch = 0;
  trouble: Trouble = null;
  private pending: Pending | undefined;
  private reason: SignedOutReason = "none";
  private readonly ended = new Set<string>();
  private readonly userListeners = new Set<(user: User | null) => void>();

  constructor(private readonly environment: Environment) {}

  /** Whether the token is there and good, and only the profile could not be read yet. */
  lacksUser(): boolean {
    return !!this.held && !this.user && !this.held.isNearlyOver();
  }

  adopt({ token, owner, lifetime, age = 0, user }: NewSession): void {
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
  }

  /** Forgets the session. A sign-in that waits for its code has nothing to do with it and stays. */
  drop(reason: SignedOutReason): void {
    if (this.owner) this.remember(this.owner.sid);
    const hadUser = !!this.user;
    this.epoch += 1;
    this.held = this.owner = this.user = undefined;
    this.isRestoring = false;
    this.reason = reason;
    this.trouble = null;
    if (hadUser) this.announce(null);
    this.publish();
  }

  setUser(user: User): void {
    const isFirst = !this.user;
    this.user = isEqual(this.user, user) ? this.user : user;
    if (isFirst) this.announce(user);
    this.publish();
  }

  setTrouble(trouble: Trouble): void {
    this.trouble = trouble;
    this.publish();
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

  /** Returns what completes the sign-in that waits; fails if none does. */
  pendingToken(): string {
    if (!this.pending) throw new SignedOutError("There is no sign-in to complete; begin it again.");
    return this.pending.sessionToken;
  }

  remember(sid: string): void {
    this.ended.add(sid);
    const [oldest] = this.ended;
    if (this.ended.size > REMEMBERED_ENDS && oldest) this.ended.delete(oldest);
  }

  hasEnded(sid: string): boolean {
    return this.ended.has(sid);
  }

  lastEnded(): string | undefined {
    return [...this.ended].at(-1);
  }

  onUserChange(listener: (user: User | null) => void): () => void {
    this.userListeners.add(listener);
    return () => void this.userListeners.delete(listener);
  }

  /** Told before the state is, so that nothing is drawn for one person with the data of another. */
  private announce(user: User | null): void {
    for (const listener of [...this.userListeners]) listener(user);
  }

  private publish(): void {
    this.observed.set(this.state());
  }

  private state(): AuthState {
    const nobody = { user: null, accessToken: null } as const;
    const { pending, held, user, trouble } = this;
    if (pending?.methods) return { status: "mfa_required", ...nobody, methods: pending.methods, trouble: null };
    if (pending?.enrolment)
      return { status: "mfa_enrolment_required", ...nobody, methods: pending.enrolment, trouble: null };
    if (pending) return { status: "password_expired", ...nobody, trouble: null };
    if (held && user) return { status: "signed_in", user, accessToken: held.token, trouble };
    if (this.isRestoring || this.owner) return { status: "restoring", ...nobody, trouble };
    return { status: "signed_out", ...nobody, reason: this.reason, trouble };
  }
}

/** Returns the session of a response. What is not as the service writes it comes from something in between: it is lost. */
export function sessionOf(answer: Schemas["RefreshResponse"] & { user?: User }): NewSession {
  try {
    const { access_token: token, expires_in: seconds, user } = answer;
    if (!(seconds > 0)) throw new TypeError("no lifetime in the response");
    return { token, owner: ownerOf(token), lifetime: seconds * 1000, user };
  } catch (cause) {
    throw new NetworkError("The response is not one of the service.", cause);
  }
}
