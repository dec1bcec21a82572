// The proof that something grave takes: a passkey where the account has no password, a code where it has a second factor, the
// password otherwise.
import { useAuth } from "portcullis-client/react";
import type { Failure } from "../api/failure.ts";
import { type Proof, useStatus } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import type { Schemas } from "../session/client.ts";
import { hasPasskeys, showPasskey } from "../session/passkey.ts";
import { CodeField, HiddenUsername, PasswordField, plainCode } from "./field.tsx";
import type { FormState } from "./form.tsx";
import { Notice } from "./states.tsx";

interface ProofFieldProps {
  form: FormState;
  autoFocus?: boolean;
}

/** The field of the proof, with what was wrong with it. */
export function ProofField({ form, autoFocus }: ProofFieldProps) {
  const t = useText(core);
  const { user } = useAuth();
  const needsCode = useStatus().data?.mfa_enabled ?? false;
  const wrong = form.error("/proof") && t("error.wrongProof");
  // Backup codes are kept for the day the passkeys are lost.
  if (needsCode && !(user?.passwordless && hasPasskeys()))
    return (
      <CodeField
        label={t("trading.proofCode")}
        error={wrong ?? form.error("/code")}
        isBackup
        {...(autoFocus && { autoFocus })}
      />
    );
  return <PasskeyOrPassword form={form} {...(autoFocus && { autoFocus })} />;
}

/** The same where no code is taken. */
export function PasskeyOrPassword({ form, autoFocus }: ProofFieldProps) {
  const t = useText(core);
  const { user } = useAuth();
  const wrong = form.error("/proof") && t("error.wrongProof");
  if (user?.passwordless) return <PasskeyProof form={form} />;
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

/** What stands in place of a field where the browser asks for a passkey once the form is sent. */
export function PasskeyProof({ form }: { form: FormState }) {
  const t = useText(core);
  return (
    <>
      {form.error("/proof") && <Notice tone="danger" isNews title={t("error.wrongPasskey")} />}
      <p className="muted">{t("proof.passkey")}</p>
    </>
  );
}

/** The proof that was typed into a form that was sent. */
export function proofIn(data: FormData): Proof {
  const code = data.get("code");
  return code ? { code: plainCode(String(code)) } : { password: String(data.get("password")) };
}

/** The same, or a passkey where nothing was there to type into. */
export async function proofOf(data: FormData): Promise<Schemas["StepUpRequest"]> {
  return data.has("code") || data.has("password") ? proofIn(data) : showPasskey();
}

/**
 * Puts a proof that was refused at its field: it is refused as whatever is not allowed, and here nothing else can be. A passkey
 * that came too late was none of the wrong ones.
 */
export function atProof({ status, code }: Failure): string | undefined {
  return (status === 401 && code !== "invalid_session_token") || status === 403 ? "/proof" : undefined;
}
