// Choosing a password with the link that was mailed, or getting back in where there is none.
import { type ReactNode, useEffect, useState } from "react";
import { Failure } from "../api/failure.ts";
import { Button, ButtonLink, TextButton } from "../components/button.tsx";
import { Form, useForm } from "../components/form.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { NewPasswordField, placeOfNewPassword } from "../components/new-password-field.tsx";
import { useText } from "../messages/catalogue.ts";
import { passwordless } from "../messages/passwordless/index.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";
import { forgetMailToken, useMailToken } from "../session/mail-token.ts";
import { lazily } from "../update.ts";
import { Recover } from "./reset-password/recover.tsx";

/** Few meet it: whoever changes a password does not load it. */
const NewPasskey = lazily<{ onLate: () => void }>(() => import("./reset-password/new-passkey.tsx"));

type State =
  | { is: "open" | "done" | "dead" | "passkey" | "late" | "recovered" }
  | { is: "recover"; typed: string | undefined };

/** The new password, the way back without one, or why the link does not work. */
export default function ResetPassword() {
  const t = useText(signIn);
  const p = useText(passwordless);
  const token = useMailToken();
  const [state, become] = useState<State>({ is: "open" });
  // Whoever leaves the page gives up what waits for a passkey.
  useEffect(() => () => client.cancelLogin(), []);
  const spent = (is: "done" | "passkey" | "recovered") => {
    become({ is });
    forgetMailToken();
    // Every session has ended, that of this browser too.
    if (client.user && is !== "passkey") void client.logout();
  };
  const dead = () => become({ is: "dead" });
  const late = <Outcome title={t("reset.dead")} about={p("late")} to="/forgot-password" verb={t("reset.askAgain")} />;
  switch (state.is) {
    case "done":
      return <Outcome title={t("reset.done")} about={t("reset.doneBody")} to="/login" verb={t("reset.toLogin")} />;
    case "recovered":
      return <Outcome title={p("done")} about={p("doneBody")} to="/login" verb={t("reset.toLogin")} />;
    case "passkey":
      return <NewPasskey onLate={() => become({ is: "late" })} />;
    case "late":
      return late;
  }
  if (state.is === "dead" || !token) {
    const about = t(state.is === "dead" ? "reset.deadBody" : "reset.missing");
    return <Outcome title={t("reset.dead")} about={about} to="/forgot-password" verb={t("reset.askAgain")} />;
  }
  if (state.is === "recover") {
    const next = { passkey: "passkey", password: "recovered" } as const;
    return (
      <Recover
        token={token}
        typed={state.typed}
        onBack={() => become({ is: "open" })}
        onRecovered={(way) => spent(next[way])}
        onDead={dead}
      />
    );
  }
  return (
    <Choose
      token={token}
      onDone={() => spent("done")}
      onDead={dead}
      onRecover={(typed) => become({ is: "recover", typed })}
    />
  );
}

function Outcome({ title, about, to, verb }: { title: string; about: ReactNode; to: string; verb: string }) {
  return (
    <GateCard title={title} about={about}>
      <ButtonLink to={to} look="primary" wide>
        {verb}
      </ButtonLink>
    </GateCard>
  );
}

interface ChooseProps {
  token: string;
  onDone: () => void;
  onDead: () => void;
  /** There is no password to change; with what was typed, if the service said so. */
  onRecover: (typed?: string) => void;
}

function Choose({ token, onDone, onDead, onRecover }: ChooseProps) {
  const t = useText(signIn);
  const p = useText(passwordless);
  const form = useForm(async (data) => {
    const new_password = String(data.get("new_password"));
    try {
      const body = { token, new_password, end_api_keys: data.get("end_api_keys") !== null };
      await client.post("/v1/auth/password/reset", { body });
      onDone();
    } catch (error) {
      const { code, errors } = Failure.of(error);
      if (code === "invalid_mail_token") onDead();
      // A code is asked for where there is no password, and the link is not spent.
      else if (errors.some(({ pointer }) => pointer === "/code")) onRecover(new_password);
      else throw error;
    }
  }, placeOfNewPassword);
  return (
    <GateCard title={t("reset.title")} about={t("reset.body")}>
      <Form form={form}>
        <NewPasswordField form={form} autoFocus />
        <label className="check">
          <input type="checkbox" name="end_api_keys" />
          <span>{t("reset.endKeys")}</span>
          <span className="field-hint">{t("reset.endKeysHint")}</span>
        </label>
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {t("reset.submit")}
        </Button>
        <div>
          <TextButton onClick={() => onRecover()}>{p("recover")}</TextButton>
        </div>
      </Form>
    </GateCard>
  );
}
