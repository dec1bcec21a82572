// The one question for another proof of who is signed in. The client asks it from outside of React, and a dialog answers it.
import type { StepUp } from "portcullis-client";

/** A question that is open: what is wanted, and how it is answered. */
export interface Asked {
  wanted: StepUp;
  /** Whether the person proved who they are. */
  answer: (isDone: boolean) => void;
}

let open: Asked | undefined;
const listeners = new Set<() => void>();

function set(asked: Asked | undefined): void {
  open = asked;
  for (const listener of [...listeners]) listener();
}

/** Returns the question that is open. */
export function askedNow(): Asked | undefined {
  return open;
}

/** Calls back when a question is asked or answered. */
export function onAsked(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** Asks the person who looks at the page; resolves once they have answered. */
export function askForProof(wanted: StepUp): Promise<boolean> {
  return new Promise((resolve) => {
    set({
      wanted,
      answer: (isDone) => {
        set(undefined);
        resolve(isDone);
      },
    });
  });
}
