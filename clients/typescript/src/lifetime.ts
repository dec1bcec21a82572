// How old an access token is and when it is to be replaced. Counted from when it arrived, by the clock that went further:
// the wall clock jumps, the monotonic one may stand still while a computer sleeps. The token's `exp` is never read, because
// the clock of a server and that of a laptop may differ by any amount.
import type { Environment } from "./environment.js";

/** A token as old as the one of another tab is adopted in place of a refresh, milliseconds. */
export const FRESH = 30_000;
/** A request finds a token too old with less than this left, milliseconds; less where tokens live shorter. */
const MARGIN = 30_000;
const SHARE_OF_LIFETIME = 0.8;
const JITTER = 0.1;

/** An access token with its age. */
export class Held {
  private readonly arrivedWall: number;
  private readonly arrivedMonotonic: number;
  private due: number;

  /** `age` is how old the token was when it arrived here, for one that another tab passes on. */
  constructor(
    private readonly environment: Environment,
    readonly token: string,
    /** Whole lifetime in milliseconds. */
    readonly lifetime: number,
    age = 0,
  ) {
    this.arrivedWall = environment.now() - age;
    this.arrivedMonotonic = environment.monotonic() - age;
    // Each tab draws for itself, so that they do not come all at once.
    this.due = lifetime * SHARE_OF_LIFETIME * (1 - JITTER + 2 * JITTER * environment.random());
  }

  age(): number {
    const wall = this.environment.now() - this.arrivedWall;
    const monotonic = this.environment.monotonic() - this.arrivedMonotonic;
    return Math.max(0, wall, monotonic);
  }

  /** Milliseconds until it is to be replaced in the background; 0 when it is time. */
  untilDue(): number {
    return Math.max(0, this.due - this.age());
  }

  /** Whether a request had better not be sent with it. */
  isNearlyOver(): boolean {
    return this.lifetime - this.age() < Math.min(MARGIN, this.lifetime * (1 - SHARE_OF_LIFETIME));
  }

  isOver(): boolean {
    return this.age() >= this.lifetime;
  }

  isFresh(): boolean {
    return this.age() < FRESH;
  }

  /** A service refused it although it is fresh: it is replaced as soon as that can help, so that an ended session is seen. */
  suspect(): void {
    this.due = Math.min(this.due, FRESH);
  }
}

/** The claims of an access token that tell whose it is. Not verified: whoever decides by a token verifies it. */
export interface Owner {
  sub: string;
  sid: string;
}

/** Returns whose token it is; fails if it is no JWT of this service. */
export function ownerOf(token: string): Owner {
  const payload = token.split(".")[1] ?? "";
  const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown; session_id?: unknown };
  if (typeof claims.sub !== "string" || typeof claims.session_id !== "string") {
    throw new TypeError("an access token without sub or session_id");
  }
  return { sub: claims.sub, sid: claims.session_id };
}
