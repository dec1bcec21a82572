// The steps of a sign-in, and what each needs of the one before.
import { api } from "../../api/client.ts";
import type { User } from "../../api/types.ts";
import { adopt } from "../../session/session.ts";

/** Where a sign-in stands. */
export type Step =
  | { at: "password"; failure?: "too-late" }
  | { at: "code"; name: string; token: string }
  | { at: "rotate"; name: string; token: string };

type Answer =
  | { status: "authenticated"; access_token: string; expires_in: number; user: User }
  | { status: "mfa_required"; session_token: string };

/** Presents a name and a password; returns the token of the challenge where a code is wanted. */
export async function presentPassword(name: string, password: string, isKept: boolean): Promise<string | undefined> {
  const who = name.includes("@") ? { email: name } : { username: name };
  const body = { ...who, password, persist_session: isKept };
  const answer = await api.post<Answer>("/v1/auth/login", body, { isAnonymous: true });
  if (answer.status === "mfa_required") return answer.session_token;
  adopt(answer);
  return undefined;
}

/** Presents a code to the challenge. */
export async function presentCode(token: string, code: string): Promise<void> {
  const body = { session_token: token, code };
  adopt(await api.post("/v1/auth/mfa/verify", body, { isAnonymous: true }));
}

/** Replaces a password that has expired, which signs in. */
export async function rotatePassword(token: string, password: string): Promise<void> {
  const body = { session_token: token, new_password: password };
  adopt(await api.post("/v1/auth/password/rotate", body, { isAnonymous: true }));
}
