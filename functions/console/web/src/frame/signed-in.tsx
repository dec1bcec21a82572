// The frame of every page for people who are signed in. It is a chunk of its own, which the pages of a sign-in do not load.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import type { User } from "portcullis-client";
import { useAuth } from "portcullis-client/react";
import { Suspense, useEffect } from "react";
import { Link, Navigate, Outlet, useLocation } from "react-router";
import { Failure } from "../api/failure.ts";
import { brand } from "../brand.ts";
import { ErrorNotice, Notice, Skeleton } from "../components/states.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { AccountMenu } from "./account-menu.tsx";
import { Logo } from "./logo.tsx";
import { BottomBar, Rail } from "./navigation.tsx";
import { Announcer, SkipLink, useTitle } from "./page.tsx";
import { SessionClock } from "./session-clock.tsx";
import { followOtherTabs } from "./trading-state.ts";
import { TradingSwitch } from "./trading-switch.tsx";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      retry: (count, error) => Failure.of(error).status === 0 && count < 2,
    },
  },
});

function Header({ user }: { user: User }) {
  const title = useTitle();
  return (
    <header className="header">
      <Link to="/" className="header-brand">
        <Logo />
        <span className="header-name">{brand.name}</span>
      </Link>
      <h1 className="header-title">{title}</h1>
      <div className="header-state">
        <SessionClock />
        <TradingSwitch />
        <AccountMenu user={user} />
      </div>
    </header>
  );
}

// What was loaded for one person is gone before another one is shown.
client.onUserChange(() => queries.clear());

/** The frame with header, navigation and content. Who is not signed in is sent to sign in, and comes back. */
export default function SignedInFrame() {
  const session = useAuth();
  const { pathname, search } = useLocation();
  if (session.status === "restoring") return <Restoring trouble={session.trouble} />;
  if (session.status !== "signed_in") {
    const next = pathname === "/" ? "" : `?next=${encodeURIComponent(pathname + search)}`;
    return <Navigate to={`/login${next}`} replace />;
  }
  return (
    <QueryClientProvider client={queries}>
      <Frame user={session.user} isCutOff={session.trouble !== null} />
    </QueryClientProvider>
  );
}

function Frame({ user, isCutOff }: { user: User; isCutOff: boolean }) {
  const t = useText(core);
  const isAdmin = user.roles.includes("admin");
  useEffect(() => followOtherTabs(queries), []);
  return (
    <div className="frame">
      <SkipLink />
      <Announcer />
      <Header user={user} />
      <Rail isAdmin={isAdmin} />
      <main id="content" tabIndex={-1}>
        {isCutOff && (
          <Notice tone="warning" isNews>
            {t("error.trouble")}
          </Notice>
        )}
        <Suspense fallback={<Skeleton cards={2} />}>
          <Outlet />
        </Suspense>
      </main>
      <BottomBar isAdmin={isAdmin} />
    </div>
  );
}

function Restoring({ trouble }: { trouble: unknown }) {
  const again = () => void client.refreshToken().catch(() => undefined);
  return (
    <div className="restoring">
      {trouble ? <ErrorNotice error={trouble} onRetry={again} /> : <Skeleton lines={3} />}
    </div>
  );
}
