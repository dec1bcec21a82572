// The way back without password and passkeys: the link that opened the page, and a backup code.
import { useState } from "react";
import { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { CodeField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { NewPasswordField, placeOfNewPassword } from "../../components/new-password-field.tsx";
import { Notice } from "../../components/states.tsx";
import { useText } from "../../messages/catalogue.ts";
import { passwordless } from "../../messages/passwordless/index.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { client } from "../../session/client.ts";
import { hasPasskeys } from "../../session/passkey.ts";

const WAYS = ["byPasskey", "byPassword"] as const;

interface Props {
  token: string;
  /** The password that was typed before the service said that there is none to change. */
  typed: string | undefined;
  onBack: () => void;
  /** Link and code are spent: a passkey is to be made, or the password was set. */
  onRecovered: (next: "passkey" | "password") => void;
  onDead: () => void;
}

/** One code, and what to sign in with from then on. */
export function Recover({ token, typed, onBack, onRecovered, onDead }: Props) {
  const t = useText(passwordless);
  const s = useText(signIn);
  const [way, choose] = useState<(typeof WAYS)[number]>(hasPasskeys() ? "byPasskey" : "byPassword");
  const form = useForm(async (data) => {
    const newPassword = data.get("new_password");
    try {
      const password = newPassword === null ? {} : { newPassword: String(newPassword) };
      await client.recoverAccount({ token, code: String(data.get("code")), ...password });
    } catch (error) {
      if (Failure.of(error).code !== "invalid_mail_token") throw error;
      return onDead();
    }
    onRecovered(newPassword === null ? "passkey" : "password");
  }, place);
  return (
    <GateCard title={t("recoverTitle")} about={t("recoverBody")}>
      <Form form={form}>
        {typed !== undefined && <Notice isNews>{t("found")}</Notice>}
        <CodeField
          label={s("code.backup")}
          hint={s("code.hintBackup")}
          isBackup
          autoFocus
          error={form.error("/code") && s("code.wrong")}
        />
        {hasPasskeys() && <Ways way={way} onChoose={choose} />}
        {way === "byPassword" && <NewPasswordField form={form} {...(typed !== undefined && { defaultValue: typed })} />}
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {t("recoverVerb")}
        </Button>
        <div>
          <TextButton onClick={onBack}>{t("reset")}</TextButton>
        </div>
      </Form>
    </GateCard>
  );
}

function Ways({ way, onChoose }: { way: string; onChoose: (way: (typeof WAYS)[number]) => void }) {
  const t = useText(passwordless);
  return (
    <fieldset className="choices">
      <legend>{t("how")}</legend>
      {WAYS.map((each) => (
        <label key={each} className="check">
          <input type="radio" name="way" checked={way === each} onChange={() => onChoose(each)} />
          <span>{t(each)}</span>
        </label>
      ))}
    </fieldset>
  );
}

function place(failure: Failure): string | undefined {
  return failure.code === "invalid_code" ? "/code" : placeOfNewPassword(failure);
}
