// A page that a mailed link opens and that does something once a person says so: programs that open links in mails do not.
import { useState } from "react";
import { Failure } from "../api/failure.ts";
import { Button, ButtonLink } from "../components/button.tsx";
import { Form, useForm } from "../components/form.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { forgetMailToken, useMailToken } from "../session/mail-token.ts";

interface Words {
  title: string;
  body: string;
  verb: string;
  done: string;
  doneBody: string;
  deadBody: string;
}

/** Asks, sends the token once, and says what came of it. */
export function MailAction({ words, send }: { words: Words; send: (token: string) => Promise<unknown> }) {
  const t = useText(signIn);
  const token = useMailToken();
  const [state, become] = useState<"open" | "done" | "dead">("open");
  const form = useForm(async () => {
    if (!token) return;
    try {
      await send(token);
      become("done");
      forgetMailToken();
    } catch (error) {
      if (Failure.of(error).code !== "invalid_mail_token") throw error;
      become("dead");
    }
  });
  const toLogin = (
    <ButtonLink to="/login" look="primary" wide>
      {t("reset.toLogin")}
    </ButtonLink>
  );
  if (state === "done")
    return (
      <GateCard title={words.done} about={words.doneBody}>
        {toLogin}
      </GateCard>
    );
  if (!token || state === "dead")
    return (
      <GateCard title={t("reset.dead")} about={token ? words.deadBody : t("reset.missing")}>
        {toLogin}
      </GateCard>
    );
  return (
    <GateCard title={words.title} about={words.body}>
      <Form form={form}>
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {words.verb}
        </Button>
      </Form>
    </GateCard>
  );
}
