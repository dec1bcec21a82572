// What needs both factors once more: taking the app away, and new backup codes.
import type { Failure } from "../../api/failure.ts";
import { Confirm } from "../../components/confirm.tsx";
import { CodeField, HiddenUsername, PasswordField, plainCode } from "../../components/field.tsx";
import type { FormState } from "../../components/form.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { client, type Schemas } from "../../session/client.ts";

interface Props {
  user: Schemas["User"];
  onClose: () => void;
}

/** Takes the app away; from then on the password is enough. */
export function RemoveApp({ user, onClose }: Props) {
  const t = useText(account);
  const remove = async (data: FormData) => {
    await client.post("/v1/mfa/totp/disable", { body: bothFactors(data) });
    await client.reloadUser();
    onClose();
  };
  return (
    <Confirm
      title={t("security.appRemoveTitle")}
      body={t("security.appRemoveBody")}
      verb={t("security.appRemoveConfirm")}
      isDangerous
      place={place}
      onConfirm={remove}
      onClose={onClose}
      fields={(form) => <BothFactors user={user} form={form} />}
    />
  );
}

/** Makes ten new codes; the old ones stop working. */
export function RenewCodes({ user, onClose, onCodes }: Props & { onCodes: (codes: string[]) => void }) {
  const t = useText(account);
  const renew = async (data: FormData) => {
    const { backup_codes } = await client.post("/v1/mfa/backup-codes", { body: bothFactors(data) });
    onCodes(backup_codes);
  };
  return (
    <Confirm
      title={t("security.codesRenewTitle")}
      body={t("security.codesRenewBody")}
      verb={t("security.codesRenewConfirm")}
      place={place}
      onConfirm={renew}
      onClose={onClose}
      fields={(form) => <BothFactors user={user} form={form} />}
    />
  );
}

function BothFactors({ user, form }: { user: Schemas["User"]; form: FormState }) {
  const t = useText(account);
  return (
    <>
      <HiddenUsername value={user.email ?? user.username ?? ""} />
      <PasswordField
        label={t("security.yourPassword")}
        name="password"
        autoComplete="current-password"
        required
        autoFocus
        error={form.error("/password")}
      />
      <CodeField label={t("security.code")} error={form.error("/code")} />
    </>
  );
}

function bothFactors(data: FormData): Schemas["ConfirmFactorRequest"] {
  return { password: String(data.get("password")), code: plainCode(String(data.get("code"))) };
}

function place(failure: Failure): string | undefined {
  return { invalid_credentials: "/password", invalid_code: "/code" }[failure.code];
}
