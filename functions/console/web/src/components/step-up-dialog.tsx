// The dialog that asks once more who is there: before something that lasts, or where a role wants more than the session has.
import { useAuth } from "portcullis-client/react";
import { useState } from "react";
import type { Failure } from "../api/failure.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { hasPasskeys, stepUpWithPasskey } from "../session/passkey.ts";
import type { Asked } from "../session/step-up.ts";
import { Button, TextButton } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { CodeField, HiddenUsername, PasswordField } from "./field.tsx";
import { Form, useForm } from "./form.tsx";

/** Asks for the password or a code. What waits for the answer goes on with it, or is given up. */
export default function StepUpDialog({ asked }: { asked: Asked }) {
  const t = useText(core);
  const { user } = useAuth();
  const { wanted } = asked;
  // The session itself is not let on: without a proof there is nothing to go back to but a sign-in.
  const isSession = wanted.url.endsWith("/v1/auth/refresh");
  const wantsFactor = wanted.acrValues.some((value) => value !== "aal1");
  const isHopeless = wantsFactor && user?.mfa_enabled === false;
  const [isCode, askForCode] = useState(wantsFactor || (user?.mfa_enabled ?? false));
  const signInAgain = () => void client.logout().finally(() => asked.answer(false));
  const form = useForm(async (data) => {
    const typed = String(data.get(isCode ? "code" : "password"));
    await client.stepUp(isCode ? { code: typed } : { password: typed });
    asked.answer(true);
  }, place);
  const byPasskey = useForm(async () => {
    await stepUpWithPasskey();
    asked.answer(true);
  });
  const wrong = form.error("/proof") && t("error.wrongProof");
  return (
    <Dialog title={t("stepUp.title")} onClose={() => asked.answer(false)} mustBeAnswered={isSession}>
      {hasPasskeys() && (
        <Form form={byPasskey}>
          <Button type="submit" wide busy={byPasskey.isBusy || byPasskey.wait > 0}>
            {t("stepUp.usePasskey")}
          </Button>
        </Form>
      )}
      {isHopeless ? (
        <>
          <p>{t("stepUp.enrol")}</p>
          <div className="actions">
            {!isSession && <Button onClick={() => asked.answer(false)}>{t("cancel")}</Button>}
            <Button look="primary" onClick={signInAgain}>
              {t("stepUp.signIn")}
            </Button>
          </div>
        </>
      ) : (
        <Form form={form}>
          <p>{t(isSession ? "stepUp.session" : "stepUp.body")}</p>
          {isCode ? (
            <CodeField
              key="code"
              label={t("trading.proofCode")}
              isBackup
              autoFocus
              error={wrong ?? form.error("/code")}
            />
          ) : (
            <>
              <HiddenUsername value={user?.email ?? user?.username ?? ""} />
              <PasswordField
                key="password"
                label={t("trading.proofPassword")}
                name="password"
                autoComplete="current-password"
                required
                autoFocus
                error={wrong ?? form.error("/code")}
              />
            </>
          )}
          {!wantsFactor && !user?.passwordless && (
            <div>
              <TextButton onClick={() => askForCode(!isCode)}>
                {t(isCode ? "stepUp.usePassword" : "stepUp.useCode")}
              </TextButton>
            </div>
          )}
          <div className="actions">
            <Button onClick={isSession ? signInAgain : () => asked.answer(false)}>
              {t(isSession ? "stepUp.signIn" : "cancel")}
            </Button>
            <Button type="submit" look="primary" busy={form.isBusy || form.wait > 0}>
              {t("stepUp.confirm")}
            </Button>
          </div>
        </Form>
      )}
    </Dialog>
  );
}

/** A proof that is not right is refused as whatever is not allowed; nothing else can be here. */
function place({ status }: Failure): string | undefined {
  return status === 403 || status === 409 ? "/proof" : undefined;
}
