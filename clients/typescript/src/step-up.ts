// One more proof of who is signed in: what a service wants of a sign-in, and the question that the application asks for it.

/** What a service wants before it does what it was asked (RFC 9470). */
export interface StepUp {
  /** The authentication context classes that would do. */
  acrValues: string[];
  /** How long ago the last sign-in may have been, in seconds. */
  maxAge: number | undefined;
  /** The address that was asked. */
  url: string;
}

/** Asks the person to sign in again or to confirm; returns whether they did, and the request is repeated then. */
export type OnStepUp = (wanted: StepUp) => Promise<boolean> | boolean;

/** Returns what a challenge wants of the sign-in (RFC 9470, section 3); `undefined` for any other. */
export function stepUpOf(header: string | null | undefined, url: string): StepUp | undefined {
  if (errorOf(header) !== "insufficient_user_authentication") return undefined;
  const maxAge = header?.match(/\bmax_age\s*=\s*"?(\d+)/)?.[1];
  return {
    acrValues: header?.match(/\bacr_values\s*=\s*"([^"]*)"/)?.[1]?.split(" ") ?? [],
    maxAge: maxAge === undefined ? undefined : Number(maxAge),
    url,
  };
}

/** Returns the word of a challenge that says what was wrong. */
export function errorOf(header: string | null | undefined): string | undefined {
  return header?.match(/\berror\s*=\s*"?([\w.-]+)/i)?.[1];
}

/** The one question at a time: whatever is refused while it is asked waits for its answer. */
export class Question {
  private asked: Promise<boolean> | undefined;

  constructor(private readonly onStepUp: OnStepUp | undefined) {}

  /** Whether there is anybody to ask. */
  get isPossible(): boolean {
    return this.onStepUp !== undefined;
  }

  /** Returns whether the person proved who they are. */
  ask(wanted: StepUp): Promise<boolean> {
    const { onStepUp } = this;
    if (!onStepUp) return Promise.resolve(false);
    this.asked ??= (async () => onStepUp(wanted))().finally(() => {
      this.asked = undefined;
    });
    return this.asked;
  }
}
