// What a navigation does for people who do not see it: the title, the focus and one announcement.
import { type ReactNode, useEffect, useSyncExternalStore } from "react";
import { brand } from "../brand.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";

let title = "";
const listeners = new Set<() => void>();

function setTitle(next: string): void {
  title = next;
  document.title = `${next} · ${brand.name}`;
  for (const listener of listeners) listener();
}

/** The title of the page that is shown; the header has it as its heading. */
export function useTitle(): string {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => title,
  );
}

// The first page of a visit is read out by the browser itself.
let isFirst = true;

/** The content of a page under its title. `isReading` keeps lines to a length that is read. */
export function Page({ title: own, isReading, children }: { title: string; isReading?: boolean; children: ReactNode }) {
  useEffect(() => setTitle(own), [own]);
  useEffect(() => {
    const wasFirst = isFirst;
    isFirst = false;
    if (!wasFirst) arrive();
  }, []);
  return <div className={isReading ? "page reading" : "page"}>{children}</div>;
}

/** Puts the focus at the start of the content, unless something of the page has taken it, and the page to its top. */
function arrive(): void {
  const main = document.querySelector("main");
  if (main && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Says the title of each page that a navigation leads to, once. */
export function Announcer() {
  const said = useTitle();
  return (
    <p className="visually-hidden" aria-live="polite" aria-atomic="true" data-announcer="">
      {said}
    </p>
  );
}

/** The first thing that Tab reaches: past header and navigation. */
export function SkipLink() {
  const t = useText(core);
  return (
    <a className="skip-link" href="#content">
      {t("skip")}
    </a>
  );
}
