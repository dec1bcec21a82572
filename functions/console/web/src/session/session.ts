// Who is signed in, in memory alone. Stands in for `portcullis-client` until these pages use it.
import { useSyncExternalStore } from "react";
import type { User } from "../api/types.ts";

/** Where a page stands with its session. */
export type Session = { state: "restoring" } | { state: "signed_out" } | { state: "signed_in"; user: User };

let session: Session = { state: "restoring" };
let token: string | undefined;
const listeners = new Set<() => void>();

function become(next: Session): void {
  session = next;
  for (const listener of listeners) listener();
}

/** Takes over a session that a sign-in began. */
export function adopt(answer: { access_token: string; user: User }): void {
  token = answer.access_token;
  become({ state: "signed_in", user: answer.user });
}

async function refresh(): Promise<boolean> {
  const response = await fetch("/v1/auth/refresh", { method: "POST" }).catch(() => undefined);
  if (response?.ok) token = (await response.json()).access_token;
  else if (response?.status === 401) {
    token = undefined;
    become({ state: "signed_out" });
  }
  return response?.ok ?? false;
}

/** Sends a request as who is signed in, with one refresh where the token is too old. */
export async function authorizedFetch(path: string, init: RequestInit & { headers: Headers }): Promise<Response> {
  if (token) init.headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(path, init);
  if (response.status !== 401 || !response.headers.get("www-authenticate")?.includes("invalid_token")) return response;
  if (!(await refresh())) return response;
  init.headers.set("authorization", `Bearer ${token}`);
  return fetch(path, init);
}

/** Finds out whether somebody is signed in in this browser. */
export async function restore(): Promise<void> {
  if (!(await refresh())) return become({ state: "signed_out" });
  const response = await authorizedFetch("/v1/users/me", { headers: new Headers() });
  become(response.ok ? { state: "signed_in", user: await response.json() } : { state: "signed_out" });
}

/** Replaces what is known about who is signed in. */
export function updateUser(user: User): void {
  become({ state: "signed_in", user });
}

/** Ends the session, here first and then in the service. */
export async function signOut(isEverywhere = false): Promise<void> {
  const headers = new Headers({ "content-type": "application/json" });
  if (token) headers.set("authorization", `Bearer ${token}`);
  token = undefined;
  become({ state: "signed_out" });
  await fetch("/v1/auth/logout", { method: "POST", headers, body: JSON.stringify({ all_devices: isEverywhere }) });
}

/** The session of this page; renders again when it changes. */
export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}
