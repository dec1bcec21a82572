// The token of a link that was mailed. It stands behind `#`, is taken out of the address before anything else happens, and
// is then in memory alone: not in the history, nor in what a later page sends as its referrer.
import { useSyncExternalStore } from "react";

let token: string | undefined;
const listeners = new Set<() => void>();

function take(): void {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!found) return;
  token = found;
  history.replaceState(history.state, "", location.pathname + location.search);
  for (const listener of listeners) listener();
}

/** Takes the token out of the address, now and when a link is opened in this tab. */
export function watchForMailToken(): void {
  take();
  addEventListener("hashchange", take);
}

/** Forgets a token that was used. */
export function forgetMailToken(): void {
  token = undefined;
}

/** The token that this page was opened with. */
export function useMailToken(): string | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => token,
  );
}
