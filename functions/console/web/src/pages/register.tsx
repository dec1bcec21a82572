// Making an account. Where addresses have to be confirmed, the answer never tells whether one is taken.
import { useAuth } from "portcullis-client/react";
import { useState } from "react";
import { Link, Navigate } from "react-router";
import type { Failure } from "../api/failure.ts";
import { withProofOfWork } from "../api/proof-of-work.ts";
import { Button, ButtonLink } from "../components/button.tsx";
import { TextField } from "../components/field.tsx";
import { Form, useForm } from "../components/form.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { NewPasswordField, placeOfNewPassword } from "../components/new-password-field.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";

/** The form, and what comes after it. */
export default function Register() {
  const t = useText(signIn);
  const { status } = useAuth();
  const [mailedTo, setMailedTo] = useState<string>();
  const [isWorking, setWorking] = useState(false);
  const form = useForm(async (data) => {
    const typed = (name: string) => String(data.get(name)).trim();
    const [email, phone] = [typed("email"), typed("phone")];
    const body = { name: typed("name"), email, password: String(data.get("password")), ...(phone ? { phone } : {}) };
    const idempotencyKey = form.idempotencyKey(data);
    const send = (proof_of_work?: string) =>
      client.post("/v1/auth/register", { body: { ...body, proof_of_work }, idempotencyKey });
    const answer = await withProofOfWork(send, () => setWorking(true)).finally(() => setWorking(false));
    if ("user_id" in answer) await client.login({ email, password: body.password, persistSession: true });
    else setMailedTo(email);
  }, misplaced);
  if (status === "signed_in") return <Navigate to="/" replace />;
  if (mailedTo) return <CheckMail email={mailedTo} />;
  return (
    <GateCard
      title={t("register.title")}
      below={
        <>
          {t("register.have")} <Link to="/login">{t("register.signIn")}</Link>
        </>
      }
    >
      <Form form={form}>
        <TextField
          label={t("register.name")}
          name="name"
          autoComplete="name"
          required
          maxLength={200}
          autoFocus
          error={form.error("/name")}
        />
        <TextField
          label={t("register.email")}
          name="email"
          type="email"
          autoComplete="email"
          required
          error={form.error("/email")}
        />
        <TextField
          label={t("register.phone")}
          name="phone"
          type="tel"
          autoComplete="tel"
          isOptional
          error={form.error("/phone")}
        />
        <NewPasswordField form={form} name="password" label={t("register.password")} />
        {isWorking && (
          <p className="small muted" role="status">
            {t("register.working")}
          </p>
        )}
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {t("register.submit")}
        </Button>
      </Form>
    </GateCard>
  );
}

function misplaced(failure: Failure): string | undefined {
  if (failure.code === "email_taken") return "/email";
  return placeOfNewPassword(failure, "password");
}

function CheckMail({ email }: { email: string }) {
  const t = useText(signIn);
  return (
    <GateCard title={t("register.checkMail")} about={t("register.checkMailBody", { email })}>
      <ButtonLink to="/login" wide>
        {t("backToLogin")}
      </ButtonLink>
    </GateCard>
  );
}
