// What the tabs of one browser tell each other, and the lock that spares them refreshing all at once. Neither is needed for
// correctness: the service answers every tab of a race. So nothing here waits for long, and nothing is taken from a tab.
import type { User } from "./api.js";
import type { Channel, Environment } from "./environment.js";

export const CHANNEL = "portcullis";
export const LOCK = "portcullis-refresh";
/** How long the lock is waited for, milliseconds; a holder that never returns costs no more. */
export const LOCK_LIMIT = 5_000;
/** How long other tabs are waited for, milliseconds. */
export const ASK_LIMIT = 50;

/** A session as one tab passes it on. */
export interface SharedSession {
  type: "session";
  token: string;
  /** Whole lifetime of the token in milliseconds. */
  lifetime: number;
  /** How old the token was when this was sent, milliseconds. */
  age: number;
  /** The wall clock when this was sent: a message may reach a tab only after the computer slept. */
  sent: number;
  user: User | undefined;
}

/** A session that is over; `sid` names it where only that one is meant. */
export interface SharedEnd {
  type: "signed_out";
  sid: string | undefined;
  reason: "logged_out" | "session_ended";
}

export type Message = SharedSession | SharedEnd | { type: "ask" };

function isMessage(data: unknown): data is Message {
  if (typeof data !== "object" || data === null) return false;
  const { type, token, lifetime, age, sent } = data as { [K in keyof SharedSession]?: unknown };
  if (type !== "session") return type === "signed_out" || type === "ask";
  return typeof token === "string" && [lifetime, age, sent].every((number) => Number.isFinite(number));
}

/** The connection to the other tabs of this origin. */
export class Tabs {
  private channel: Channel | undefined;
  private readonly heard = new Set<() => void>();

  constructor(
    private readonly environment: Environment,
    private readonly suffix: string,
    private readonly listener: (message: Message) => void,
  ) {}

  open(): void {
    try {
      this.channel = this.environment.openChannel(CHANNEL + this.suffix);
    } catch {
      // Opaque origins, such as sandboxed frames, have none.
      return;
    }
    if (!this.channel) return;
    this.channel.onmessage = ({ data }) => {
      if (!isMessage(data)) return;
      this.listener(data);
      if (data.type !== "ask") for (const wake of [...this.heard]) wake();
    };
  }

  tell(message: Message): void {
    try {
      this.channel?.postMessage(message);
    } catch {
      // A closed channel has nobody to tell.
    }
  }

  /**
   * Asks the other tabs for their session. The returned function waits until `isEnough` after a message, or for the rest of
   * the 50 ms, and returns whether that was at least half of them: a message that was sent just before it was called, by
   * whoever had the lock until then, has arrived in that time.
   */
  asked(isEnough: () => boolean): () => Promise<boolean> {
    if (!this.channel || isEnough()) return async () => true;
    const waiting = this.until(isEnough, ASK_LIMIT);
    this.tell({ type: "ask" });
    const begun = this.environment.monotonic();
    return async () => {
      const passed = this.environment.monotonic() - begun;
      await waiting.done;
      return passed <= ASK_LIMIT / 2;
    };
  }

  /** Done when a message from another tab made `isEnough` true, after so many milliseconds, or when it is cancelled. */
  private until(isEnough: () => boolean, limit: number): { done: Promise<void>; cancel: () => void } {
    let cancel = ignore;
    const done = new Promise<void>((resolve) => {
      const wake = () => isEnough() && cancel();
      const timer = this.environment.setTimeout(() => cancel(), limit);
      this.heard.add(wake);
      cancel = () => {
        this.heard.delete(wake);
        this.environment.clearTimeout(timer);
        resolve();
      };
    });
    return { done, cancel };
  }

  /**
   * Runs `work` under the lock. Without locks, when the lock is not had within five seconds, or as soon as a message of
   * another tab makes `isEnough` true, it runs all the same: the lock only saves requests.
   */
  async locked<T>(work: () => Promise<T>, isEnough: () => boolean): Promise<T> {
    const { locks } = this.environment;
    if (!locks) return work();
    let running: Promise<T> | undefined;
    const run = () => (running ??= work());
    const queue = new AbortController();
    const patience = this.until(isEnough, LOCK_LIMIT);
    // What was aborted or refused rejects; so does `run`, whose outcome is returned below.
    const held = Promise.resolve()
      .then(() => locks.request(LOCK + this.suffix, { signal: queue.signal }, run))
      .then(ignore, ignore);
    await Promise.race([held, patience.done]);
    patience.cancel();
    if (!running) queue.abort();
    return run();
  }

  close(): void {
    if (this.channel) this.channel.onmessage = null;
    this.channel?.close();
    this.heard.clear();
  }
}

function ignore(): void {}
