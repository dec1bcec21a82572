// The first step of a sign-in.
import { useState } from "react";
import { Link } from "react-router";
import { api } from "../../api/client.ts";
import { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { PasswordField, TextField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { Notice } from "../../components/states.tsx";
import { useDuration } from "../../components/time.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { presentPassword, type Step } from "./step.ts";

interface Props {
  go: (step: Step) => void;
  failure: "too-late" | undefined;
}

/** Name and password. What was typed stays on every failure. */
export function PasswordStep({ go, failure }: Props) {
  const t = useText(signIn);
  const duration = useDuration();
  const [unconfirmed, setUnconfirmed] = useState<string>();
  const form = useForm(async (data) => {
    const name = String(data.get("username")).trim();
    setUnconfirmed(undefined);
    try {
      const token = await presentPassword(name, String(data.get("password")), data.has("keep"));
      if (token) go({ at: "code", name, token });
    } catch (error) {
      const { code, problem } = Failure.of(error);
      if (code === "password_expired" && problem.session_token)
        go({ at: "rotate", name, token: problem.session_token });
      else if (code === "email_not_verified") setUnconfirmed(name);
      else throw error;
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
      {failure && <Notice tone="warning">{t("code.over")}</Notice>}
      {unconfirmed && <Unconfirmed email={unconfirmed} />}
      <Form form={form}>
        <TextField
          label={t("login.name")}
          name="username"
          autoComplete="username"
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
          <input type="checkbox" name="keep" defaultChecked />
          {t("login.keep")}
        </label>
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {form.wait > 0 ? t("login.tooMany", { time: duration(form.wait) }) : t("login.submit")}
        </Button>
      </Form>
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
    await api.post("/v1/auth/email/resend", { email }, { isAnonymous: true }).catch(() => undefined);
    setSent(true);
  };
  return (
    <Notice tone="warning" isNews title={t("login.notVerified")}>
      {isSent ? <p>{t("login.resent")}</p> : <TextButton onClick={resend}>{t("login.resend")}</TextButton>}
    </Notice>
  );
}
