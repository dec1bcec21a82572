// The first step of a sign-in.
import { useAuth } from "portcullis-client/react";
import { useRef, useState } from "react";
import { Link } from "react-router";
import { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { PasswordField, TextField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { Notice } from "../../components/states.tsx";
import { useDuration } from "../../components/time.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { client } from "../../session/client.ts";
import { offerPasskey } from "../../session/passkey-offer.ts";
import { PasskeyChoice } from "./passkey-choice.tsx";

interface Props {
  /** What was typed before a later step was given up. */
  name: string;
  onName: (name: string) => void;
  /** Whether a later step took too long. */
  isLate: boolean;
}

/** Name and password. What was typed stays on every failure. */
export function PasswordStep({ name: before, onName, isLate }: Props) {
  const t = useText(signIn);
  const duration = useDuration();
  const { status, reason } = useAuth() as { status: string; reason?: string };
  const [unconfirmed, setUnconfirmed] = useState<string>();
  const keep = useRef<HTMLInputElement>(null);
  const form = useForm(async (data) => {
    const name = String(data.get("username")).trim();
    setUnconfirmed(undefined);
    onName(name);
    const [password, persistSession] = [String(data.get("password")), data.has("keep")];
    try {
      await client.login({ identifier: name, password, persistSession });
      offerPasskey();
    } catch (error) {
      if (Failure.of(error).code !== "email_not_verified") throw error;
      setUnconfirmed(name);
    }
  }, misplaced);
  const wrong = form.error("/password");
  return (
    <GateCard
      title={t("login.title")}
      below={
        <>
          {t("login.newHere")} <Link to="/register">{t("login.register")}</Link>
        </>
      }
    >
      {isLate && (
        <Notice tone="warning" isNews>
          {t("code.over")}
        </Notice>
      )}
      {status === "signed_out" && reason === "session_ended" && (
        <Notice tone="warning" isNews>
          {t("login.ended")}
        </Notice>
      )}
      {unconfirmed && <Unconfirmed email={unconfirmed} />}
      <Form form={form}>
        <TextField
          label={t("login.name")}
          name="username"
          autoComplete="username webauthn"
          defaultValue={before}
          autoCapitalize="none"
          spellCheck={false}
          required
          autoFocus
          error={form.error("/email") ?? form.error("/username")}
        />
        <PasswordField
          label={t("login.password")}
          name="password"
          autoComplete="current-password"
          required
          error={wrong && t("login.wrong")}
          below={
            <div>
              <Link to="/forgot-password" className="small">
                {t("login.forgot")}
              </Link>
            </div>
          }
        />
        <label className="check">
          <input ref={keep} type="checkbox" name="keep" defaultChecked />
          {t("login.keep")}
        </label>
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {form.wait > 0 ? t("login.tooMany", { time: duration(form.wait) }) : t("login.submit")}
        </Button>
      </Form>
      <PasskeyChoice persistSession={() => keep.current?.checked ?? true} />
    </GateCard>
  );
}

function misplaced(failure: Failure): string | undefined {
  return failure.code === "invalid_credentials" ? "/password" : undefined;
}

function Unconfirmed({ email }: { email: string }) {
  const t = useText(signIn);
  const [isSent, setSent] = useState(false);
  const resend = async () => {
    await client.post("/v1/auth/email/resend", { body: { email } }).catch(() => undefined);
    setSent(true);
  };
  return (
    <Notice tone="warning" isNews title={t("login.notVerified")}>
      {isSent ? <p>{t("login.resent")}</p> : <TextButton onClick={resend}>{t("login.resend")}</TextButton>}
    </Notice>
  );
}
