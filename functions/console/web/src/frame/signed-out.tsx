// The plain frame of the pages before a sign-in: one card under the platform's name.
import { Suspense } from "react";
import { Outlet } from "react-router";
import { brand } from "../brand.ts";
import { LanguageChoice } from "./language-choice.tsx";
import { Logo } from "./logo.tsx";
import { Announcer, SkipLink } from "./page.tsx";

/** The frame of the pages of a sign-in: one card under the platform's name. */
export function SignedOutFrame() {
  return (
    <div className="gate">
      <SkipLink />
      <Announcer />
      <header className="gate-brand">
        <Logo size={32} />
        <span>{brand.name}</span>
      </header>
      <main id="content" tabIndex={-1} className="gate-main">
        <Suspense fallback={null}>
          <Outlet />
        </Suspense>
      </main>
      <footer className="gate-foot">
        <LanguageChoice />
      </footer>
    </div>
  );
}
