// The proof that something grave takes: a code where the account has a second factor, the password otherwise.
import { useAuth } from "portcullis-client/react";
import type { Failure } from "../api/failure.ts";
import { type Proof, useStatus } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { CodeField, HiddenUsername, PasswordField, plainCode } from "./field.tsx";
import type { FormState } from "./form.tsx";

/** The field of the proof, with what was wrong with it. */
export function ProofField({ form, autoFocus }: { form: FormState; autoFocus?: boolean }) {
  const t = useText(core);
  const { user } = useAuth();
  const needsCode = useStatus().data?.mfa_enabled ?? false;
  const wrong = form.error("/proof") && t("error.wrongProof");
  if (needsCode)
    return (
      <CodeField
        label={t("trading.proofCode")}
        error={wrong ?? form.error("/code")}
        isBackup
        {...(autoFocus && { autoFocus })}
      />
    );
  return (
    <>
      <HiddenUsername value={user?.email ?? user?.username ?? ""} />
      <PasswordField
        label={t("trading.proofPassword")}
        name="password"
        autoComplete="current-password"
        required
        error={wrong ?? form.error("/password")}
        {...(autoFocus && { autoFocus })}
      />
    </>
  );
}

/** The proof in a form that was sent. */
export function proofIn(data: FormData): Proof {
  const code = data.get("code");
  return code ? { code: plainCode(String(code)) } : { password: String(data.get("password")) };
}

/** Puts a proof that was refused at its field: it is refused as whatever is not allowed, and here nothing else can be. */
export function atProof({ status }: Failure): string | undefined {
  return status === 401 || status === 403 ? "/proof" : undefined;
}
