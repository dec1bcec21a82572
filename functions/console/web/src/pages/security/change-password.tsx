// Another password, for who knows the present one.
import type { Failure } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { HiddenUsername, PasswordField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { NewPasswordField, placeOfNewPassword } from "../../components/new-password-field.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";

interface Props {
  user: Schemas["User"];
  onChanged: () => void;
  onClose: () => void;
}

/** Every other session ends with it; this one goes on. */
export function ChangePassword({ user, onChanged, onClose }: Props) {
  const t = useText(account);
  const c = useText(core);
  const form = useForm(async (data) => {
    const body = { current_password: String(data.get("current")), new_password: String(data.get("new_password")) };
    await client.post("/v1/auth/password/change", { body });
    await client.refreshToken().catch(() => undefined);
    onChanged();
  }, place);
  return (
    <Dialog title={t("security.passwordChange")} onClose={onClose}>
      <Form form={form}>
        <HiddenUsername value={user.email ?? user.username ?? ""} />
        <PasswordField
          label={t("security.passwordCurrent")}
          name="current"
          autoComplete="current-password"
          required
          autoFocus
          error={form.error("/current_password")}
        />
        <NewPasswordField form={form} />
        <div className="actions">
          <Button onClick={onClose}>{c("cancel")}</Button>
          <Button type="submit" look="primary" busy={form.isBusy || form.wait > 0}>
            {t("security.passwordChange")}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}

function place(failure: Failure): string | undefined {
  if (failure.code === "invalid_credentials") return "/current_password";
  return placeOfNewPassword(failure);
}
