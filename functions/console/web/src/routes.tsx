// Every page: its address, its chunk, and who sees it. The service answers these addresses with the console and no others;
// a test of `functions/src/console.rs` compares the two lists.
import type { ComponentType } from "react";
import Login from "./pages/login.tsx";
import { lazily } from "./update.ts";

/** Who sees a page: people before a sign-in, those who are signed in, administrators, or everybody. */
export type Audience = "signed-out" | "signed-in" | "admin";

/** A page of the console. */
export interface Route {
  path: string;
  audience: Audience;
  Page: ComponentType;
}

function route(path: string, audience: Audience, Page: ComponentType): Route {
  return { path, audience, Page };
}

/** The pages, in the order of the navigation. */
export const ROUTES: readonly Route[] = [
  // The first page that most people see comes with the console itself, in one file.
  route("/login", "signed-out", Login),
  route(
    "/register",
    "signed-out",
    lazily(() => import("./pages/register.tsx")),
  ),
  route(
    "/forgot-password",
    "signed-out",
    lazily(() => import("./pages/forgot-password.tsx")),
  ),
  route(
    "/reset-password",
    "signed-out",
    lazily(() => import("./pages/reset-password.tsx")),
  ),
  route(
    "/verify-email",
    "signed-out",
    lazily(() => import("./pages/verify-email.tsx")),
  ),
  route(
    "/confirm-address",
    "signed-out",
    lazily(() => import("./pages/confirm-address.tsx")),
  ),
  route(
    "/restore-address",
    "signed-out",
    lazily(() => import("./pages/restore-address.tsx")),
  ),
  route(
    "/rotate-password",
    "signed-out",
    lazily(() => import("./pages/rotate-password.tsx")),
  ),

  route(
    "/",
    "signed-in",
    lazily(() => import("./pages/today.tsx")),
  ),
  route(
    "/trading-accounts",
    "signed-in",
    lazily(() => import("./pages/trading-accounts.tsx")),
  ),
  route(
    "/approvals",
    "signed-in",
    lazily(() => import("./pages/approvals.tsx")),
  ),
  route(
    "/broker-callback",
    "signed-in",
    lazily(() => import("./pages/broker-callback.tsx")),
  ),
  route(
    "/readers",
    "signed-in",
    lazily(() => import("./pages/readers.tsx")),
  ),
  route(
    "/sessions",
    "signed-in",
    lazily(() => import("./pages/sessions.tsx")),
  ),
  route(
    "/security",
    "signed-in",
    lazily(() => import("./pages/security.tsx")),
  ),
  route(
    "/api-keys",
    "signed-in",
    lazily(() => import("./pages/api-keys.tsx")),
  ),
  route(
    "/audit",
    "signed-in",
    lazily(() => import("./pages/activity.tsx")),
  ),
  route(
    "/profile",
    "signed-in",
    lazily(() => import("./pages/profile.tsx")),
  ),

  route(
    "/admin/people",
    "admin",
    lazily(() => import("./pages/admin/people.tsx")),
  ),
  route(
    "/admin/people/:id",
    "admin",
    lazily(() => import("./pages/admin/person.tsx")),
  ),
  route(
    "/admin/audit",
    "admin",
    lazily(() => import("./pages/admin/audit.tsx")),
  ),
  route(
    "/admin/providers",
    "admin",
    lazily(() => import("./pages/admin/providers.tsx")),
  ),
  route(
    "/admin/trouble",
    "admin",
    lazily(() => import("./pages/admin/trouble.tsx")),
  ),
];
