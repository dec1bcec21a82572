// The frame of every page for people who are signed in. It is a chunk of its own, which the pages of a sign-in do not load.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Suspense, useEffect } from "react";
import { Link, Navigate, Outlet, useLocation } from "react-router";
import { Failure } from "../api/failure.ts";
import type { User } from "../api/types.ts";
import { brand } from "../brand.ts";
import { Skeleton } from "../components/states.tsx";
import { useSession } from "../session/session.ts";
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

/** The frame with header, navigation and content. Who is not signed in is sent to sign in, and comes back. */
export default function SignedInFrame() {
  const session = useSession();
  const { pathname, search } = useLocation();
  if (session.state === "restoring") return <Restoring />;
  if (session.state === "signed_out") {
    const next = pathname === "/" ? "" : `?next=${encodeURIComponent(pathname + search)}`;
    return <Navigate to={`/login${next}`} replace />;
  }
  return (
    <QueryClientProvider client={queries}>
      <Frame user={session.user} />
    </QueryClientProvider>
  );
}

function Frame({ user }: { user: User }) {
  const isAdmin = user.roles.includes("admin");
  useEffect(() => followOtherTabs(queries), []);
  // What was loaded for one person is gone before another one is shown.
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is forgotten because somebody else is there.
  useEffect(() => () => queries.clear(), [user.user_id]);
  return (
    <div className="frame">
      <SkipLink />
      <Announcer />
      <Header user={user} />
      <Rail isAdmin={isAdmin} />
      <main id="content" tabIndex={-1}>
        <Suspense fallback={<Skeleton cards={2} />}>
          <Outlet />
        </Suspense>
      </main>
      <BottomBar isAdmin={isAdmin} />
    </div>
  );
}

function Restoring() {
  return (
    <div className="restoring">
      <Skeleton lines={3} />
    </div>
  );
}
