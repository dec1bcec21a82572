// The step of a sign-in that replaces an expired password.

import { Failure } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { HiddenUsername } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { NewPasswordField, placeOfNewPassword } from "../../components/new-password-field.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { client } from "../../session/client.ts";

/** A new password in place of the expired one. */
export function RotateStep({ name, onLate }: { name: string; onLate: () => void }) {
  const t = useText(signIn);
  const form = useForm(async (data) => {
    try {
      await client.rotatePassword(String(data.get("new_password")));
    } catch (error) {
      if (Failure.of(error).code !== "invalid_session_token") throw error;
      onLate();
    }
  }, placeOfNewPassword);
  return (
    <GateCard title={t("rotate.title")} about={t("rotate.body", { name: name })}>
      <Form form={form}>
        <HiddenUsername value={name} />
        <NewPasswordField form={form} autoFocus />
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {t("rotate.submit")}
        </Button>
      </Form>
    </GateCard>
  );
}
