// What happens to a page that was opened before an update: its chunks are gone from the service, so it is loaded anew, once.
import { type ComponentType, lazy } from "react";

const LOADED = "loaded-for-update";
/** A page that stands for so long, in milliseconds, is whole; the next update may load it anew again. */
const WHOLE = 10_000;

/** Loads the page anew when a chunk is missing. If that did not help, the failure is shown. */
export function loadAnewAfterUpdates(): void {
  addEventListener("vite:preloadError", (event) => {
    if (sessionStorage.getItem(LOADED)) return;
    sessionStorage.setItem(LOADED, "yes");
    event.preventDefault();
    location.reload();
  });
  setTimeout(() => sessionStorage.removeItem(LOADED), WHOLE);
}

/** A component in a chunk of its own. Nothing is shown in place of one that is missing while the page is loaded anew. */
export function lazily<P = object>(load: () => Promise<{ default: ComponentType<P> }>) {
  return lazy(async () => (await load()) ?? new Promise<never>(() => {}));
}
