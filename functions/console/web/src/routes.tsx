// Every page: its address, its chunk, and who sees it. The service answers these addresses with the console and no others;
// a test of `functions/src/console.rs` compares the two lists.
import { type ComponentType, lazy } from "react";

/** Who sees a page: people before a sign-in, those who are signed in, administrators, or everybody. */
export type Audience = "signed-out" | "signed-in" | "admin";

/** A page of the console. */
export interface Route {
  path: string;
  audience: Audience;
  Page: ComponentType;
}

type Module = Promise<{ default: ComponentType }>;

function route(path: string, audience: Audience, load: () => Module): Route {
  return { path, audience, Page: lazy(load) };
}

/** The pages, in the order of the navigation. */
export const ROUTES: readonly Route[] = [
  route("/login", "signed-out", () => import("./pages/login.tsx")),
  route("/register", "signed-out", () => import("./pages/register.tsx")),
  route("/forgot-password", "signed-out", () => import("./pages/forgot-password.tsx")),
  route("/reset-password", "signed-out", () => import("./pages/reset-password.tsx")),
  route("/verify-email", "signed-out", () => import("./pages/verify-email.tsx")),
  route("/rotate-password", "signed-out", () => import("./pages/rotate-password.tsx")),

  route("/", "signed-in", () => import("./pages/today.tsx")),
  route("/trading-accounts", "signed-in", () => import("./pages/trading-accounts.tsx")),
  route("/broker-callback", "signed-in", () => import("./pages/broker-callback.tsx")),
  route("/readers", "signed-in", () => import("./pages/readers.tsx")),
  route("/sessions", "signed-in", () => import("./pages/sessions.tsx")),
  route("/security", "signed-in", () => import("./pages/security.tsx")),
  route("/api-keys", "signed-in", () => import("./pages/api-keys.tsx")),
  route("/audit", "signed-in", () => import("./pages/activity.tsx")),
  route("/profile", "signed-in", () => import("./pages/profile.tsx")),

  route("/admin/people", "admin", () => import("./pages/admin/people.tsx")),
  route("/admin/people/:id", "admin", () => import("./pages/admin/person.tsx")),
  route("/admin/audit", "admin", () => import("./pages/admin/audit.tsx")),
  route("/admin/providers", "admin", () => import("./pages/admin/providers.tsx")),
  route("/admin/trouble", "admin", () => import("./pages/admin/trouble.tsx")),
];
