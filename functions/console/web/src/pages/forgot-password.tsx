// Asking for the link that chooses a forgotten password anew. The answer is the same whether or not there is an account.
import { useState } from "react";
import { Link } from "react-router";
import { withProofOfWork } from "../api/proof-of-work.ts";
import { Button, TextButton } from "../components/button.tsx";
import { TextField } from "../components/field.tsx";
import { Form, useForm } from "../components/form.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { useDuration } from "../components/time.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";

/** One field, then what to look for. */
export default function ForgotPassword() {
  const t = useText(signIn);
  const duration = useDuration();
  const [sentTo, setSentTo] = useState<string>();
  const [isWorking, setWorking] = useState(false);
  const form = useForm(async (data) => {
    const email = String(data.get("email")).trim();
    const send = (proof_of_work?: string) =>
      client.post("/v1/auth/password/forgot", { body: { email, proof_of_work } });
    await withProofOfWork(send, () => setWorking(true)).finally(() => setWorking(false));
    setSentTo(email);
  });
  const back = <Link to="/login">{t("backToLogin")}</Link>;
  if (sentTo) {
    return (
      <GateCard title={t("forgot.sent")} about={t("forgot.sentBody", { email: sentTo })} below={back}>
        <div>
          <TextButton onClick={() => setSentTo(undefined)}>{t("forgot.again")}</TextButton>
        </div>
      </GateCard>
    );
  }
  return (
    <GateCard title={t("forgot.title")} about={t("forgot.body")} below={back}>
      <Form form={form}>
        <TextField
          label={t("forgot.email")}
          name="email"
          type="email"
          autoComplete="email"
          required
          autoFocus
          error={form.error("/email")}
        />
        {isWorking && (
          <p className="small muted" role="status">
            {t("register.working")}
          </p>
        )}
        <p className="small muted">{t("forgot.passkeys")}</p>
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {form.wait > 0 ? t("login.tooMany", { time: duration(form.wait) }) : t("forgot.submit")}
        </Button>
      </Form>
    </GateCard>
  );
}
