// Choosing a password with the link that was mailed.
import { useState } from "react";
import { Failure } from "../api/failure.ts";
import { Button, ButtonLink } from "../components/button.tsx";
import { Form, useForm } from "../components/form.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { NewPasswordField, placeOfNewPassword } from "../components/new-password-field.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";
import { forgetMailToken, useMailToken } from "../session/mail-token.ts";

/** The new password, or why the link does not work. */
export default function ResetPassword() {
  const t = useText(signIn);
  const token = useMailToken();
  const [state, become] = useState<"open" | "done" | "dead">("open");
  const form = useForm(async (data) => {
    try {
      const body = {
        token: token ?? "",
        new_password: String(data.get("new_password")),
        end_api_keys: data.get("end_api_keys") !== null,
      };
      await client.post("/v1/auth/password/reset", { body });
      become("done");
      forgetMailToken();
      // Every session has ended, that of this browser too.
      if (client.user) void client.logout();
    } catch (error) {
      if (Failure.of(error).code !== "invalid_mail_token") throw error;
      become("dead");
    }
  }, placeOfNewPassword);
  if (state === "done") {
    return (
      <GateCard title={t("reset.done")} about={t("reset.doneBody")}>
        <ButtonLink to="/login" look="primary" wide>
          {t("reset.toLogin")}
        </ButtonLink>
      </GateCard>
    );
  }
  if (state === "dead" || !token) {
    return (
      <GateCard title={t("reset.dead")} about={t(state === "dead" ? "reset.deadBody" : "reset.missing")}>
        <ButtonLink to="/forgot-password" look="primary" wide>
          {t("reset.askAgain")}
        </ButtonLink>
      </GateCard>
    );
  }
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
      </Form>
    </GateCard>
  );
}
