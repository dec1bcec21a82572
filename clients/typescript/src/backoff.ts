// When the service is asked again after it could not be reached or had no time: full jitter under a doubling limit, and not
// before a `Retry-After` is over.
import type { Environment } from "./environment.js";
import { ProblemError } from "./errors.js";

const FIRST = 1_000;
const LONGEST = 60_000;
/** A request of the application does not wait for the pause, but it does not hurry more than this either, milliseconds. */
const CLOSEST = 1_000;

export class Backoff {
  private failures = 0;
  private at = 0;
  private next = 0;
  private closedUntil = 0;

  constructor(private readonly environment: Environment) {}

  failed(error: unknown): void {
    this.at = this.environment.monotonic();
    const pause = this.environment.random() * Math.min(LONGEST, FIRST * 2 ** this.failures);
    const wanted = error instanceof ProblemError && error.retryAfter !== undefined ? error.retryAfter * 1000 : 0;
    this.failures += 1;
    this.closedUntil = this.at + wanted;
    // The clients that a busy service sent away do not all come back in the same moment.
    this.next = this.closedUntil + pause;
  }

  reset(): void {
    this.failures = this.at = this.next = this.closedUntil = 0;
  }

  /** Milliseconds until the next try in the background. */
  remaining(): number {
    return this.failures === 0 ? 0 : Math.max(0, this.next - this.environment.monotonic());
  }

  /** Whether the service did not ask for a pause that still goes on. */
  isOpen(): boolean {
    return this.failures === 0 || this.environment.monotonic() >= this.closedUntil;
  }

  /** Whether a request of the application may try now. */
  mayTry(): boolean {
    return this.isOpen() && (this.failures === 0 || this.environment.monotonic() - this.at >= CLOSEST);
  }
}
