// What an application sees of its session: one object that is replaced when a value in it changes, and never otherwise.
import type { Schemas, User } from "./api.js";
import type { NetworkError, ProblemError } from "./errors.js";

/** Why the service could not be asked lately; the session goes on, and so do the attempts. */
export type Trouble = ProblemError | NetworkError | null;

/** Why nobody is signed in: nobody was, somebody signed out, or the service ended the session. */
export type SignedOutReason = "none" | "logged_out" | "session_ended";

export type AuthState =
  /** Whether somebody is signed in is being found out. */
  | { status: "restoring"; user: null; accessToken: null; trouble: Trouble }
  /** `trouble` says that the service does not know of the sign-out yet. */
  | { status: "signed_out"; user: null; accessToken: null; reason: SignedOutReason; trouble: Trouble }
  /** The password was right; `verifyMfa` completes the sign-in. */
  | { status: "mfa_required"; user: null; accessToken: null; methods: Schemas["MfaRequired"]["methods"]; trouble: null }
  /** The password was right, and a role wants a second factor first: `setUpFactor` and `enableFactor`, or
   * `setUpPasskey` and `enablePasskey`, complete the sign-in. */
  | {
      status: "mfa_enrolment_required";
      user: null;
      accessToken: null;
      methods: Schemas["EnrolmentRequired"]["methods"];
      trouble: null;
    }
  /** The password was right and is too old; `rotatePassword` completes the sign-in. */
  | { status: "password_expired"; user: null; accessToken: null; trouble: null }
  | { status: "signed_in"; user: User; accessToken: string; trouble: Trouble };

export type AuthStatus = AuthState["status"];

export const RESTORING: AuthState = { status: "restoring", user: null, accessToken: null, trouble: null };

/** Holds the state and tells those who listen when it changed. */
export class Observed {
  private readonly listeners = new Set<() => void>();
  private current: AuthState = RESTORING;

  get(): AuthState {
    return this.current;
  }

  set(next: AuthState): void {
    if (isSame(this.current, next)) return;
    this.current = next;
    for (const listener of [...this.listeners]) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}

function isSame(one: AuthState, other: AuthState): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof AuthState>;
  return [...keys].every((key) => Object.is(one[key], other[key]) || (key === "user" && isEqual(one.user, other.user)));
}

/** Accounts are plain data whose members come in one order from one service. */
export function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
