// The operations under the names that existing front ends call them by. Each is one line over the client, so that whoever
// does not import them does not ship them.
import type { Schemas } from "./api.js";
import type { Client } from "./client.js";

type Body<N extends keyof Schemas> = Schemas[N];

/** Returns the answer at once, and has the account read again: an answer with codes is not lost with that reading. */
async function withNewUser<T>(client: Client, answer: Promise<T>): Promise<T> {
  const answered = await answer;
  void client.reloadUser().catch(() => undefined);
  return answered;
}

/** Registration and passwords that are forgotten, removed or set; signing in and out are functions of the client itself. */
export const authApi = (client: Client) => ({
  register: (body: Body<"RegisterRequest">, idempotencyKey?: string) =>
    client.post("/v1/auth/register", { body, idempotencyKey }),
  forgotPassword: (body: Body<"ForgotPasswordRequest">) => client.post("/v1/auth/password/forgot", { body }),
  resetPassword: (body: Body<"ResetPasswordRequest">) => client.post("/v1/auth/password/reset", { body }),
  changePassword: (body: Body<"ChangePasswordRequest">) => client.post("/v1/auth/password/change", { body }),
  /** Removes the password by a passkey; keep the `backup_codes`, if there are any: no other response has them. */
  removePassword: (body: Body<"RemovePasswordRequest">) =>
    withNewUser(client, client.post("/v1/auth/password/remove", { body })),
  /** Sets a password by a passkey, where there is none. */
  setPassword: (body: Body<"SetPasswordRequest">) =>
    withNewUser(client, client.post("/v1/auth/password/set", { body })),
  verifyEmail: (body: Body<"VerifyEmailRequest">) => client.post("/v1/auth/email/verify", { body }),
  resendConfirmation: (body: Body<"ResendConfirmationRequest">) => client.post("/v1/auth/email/resend", { body }),
  status: () => client.get("/v1/auth/status"),
});

/** The own account. */
export const userApi = (client: Client) => ({
  getMe: () => client.get("/v1/users/me"),
  async updateMe(body: Body<"UpdateProfileRequest">) {
    const user = await client.patch("/v1/users/me", { body });
    await client.reloadUser();
    return user;
  },
});

/** Trading accounts of the signed-in person. */
export const tradingAccountApi = (client: Client) => ({
  list: () => client.get("/v1/trading-accounts"),
  get: (id: string) => client.get("/v1/trading-accounts/{id}", { params: { id } }),
  link: (body: Body<"LinkTradingAccountRequest">, idempotencyKey?: string) =>
    client.post("/v1/trading-accounts", { body, idempotencyKey }),
  verify: (id: string) => client.post("/v1/trading-accounts/{id}/verify", { params: { id } }),
  /** Who was given the credentials and may be given the same again, and until when. */
  leases: (id: string) => client.get("/v1/trading-accounts/{id}/leases", { params: { id } }),
  unlink: (id: string) => client.delete("/v1/trading-accounts/{id}", { params: { id } }),
});

/** Orders that wait for the approval of the signed-in person; a passkey is shown with what `challenge` returns. */
export const approvalApi = (client: Client) => ({
  list: (query: { status?: Body<"ApprovalStatus">; cursor?: string } = {}) => client.get("/v1/approvals", { query }),
  get: (id: string) => client.get("/v1/approvals/{id}", { params: { id } }),
  request: (body: Body<"RequestApprovalRequest">, idempotencyKey?: string) =>
    client.post("/v1/approvals", { body, idempotencyKey }),
  challenge: (id: string) => client.post("/v1/approvals/{id}/challenge", { params: { id } }),
  decide: (id: string, body: Body<"DecideApprovalRequest">) =>
    client.post("/v1/approvals/{id}/decide", { params: { id }, body }),
  /** Returns an approval once it is not pending any more; ends with the reason of `signal`. */
  async untilDecided(id: string, signal: AbortSignal, everyMilliseconds = 1000) {
    for (;;) {
      const approval = await client.get("/v1/approvals/{id}", { params: { id }, signal });
      if (approval.status !== "pending") return approval;
      await pause(everyMilliseconds, signal);
    }
  },
});

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", ended);
      resolve();
    }, milliseconds);
    if (signal.aborted) return ended();
    signal.addEventListener("abort", ended, { once: true });
  });
}

/** The second factor. */
export const mfaApi = (client: Client) => ({
  setup: (body: Body<"SetUpTotpRequest"> = {}) => client.post("/v1/mfa/totp/setup", { body }),
  enable: (body: Body<"EnableTotpRequest">) => client.post("/v1/mfa/totp/enable", { body }),
  disable: (body: Body<"ConfirmFactorRequest">) => client.post("/v1/mfa/totp/disable", { body }),
  renewBackupCodes: (body: Body<"RenewCodesRequest">) => client.post("/v1/mfa/backup-codes", { body }),
});
