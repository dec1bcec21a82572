// An account without a password: giving it up, having one again, and new backup codes, each with a passkey.
import { Failure } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { Card } from "../../components/card.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { HiddenUsername } from "../../components/field.tsx";
import { NewPasswordField, placeOfNewPassword } from "../../components/new-password-field.tsx";
import { Pill } from "../../components/pill.tsx";
import { atProof, PasskeyProof } from "../../components/proof.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { passwordless } from "../../messages/passwordless/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { hasPasskeys, showPasskey } from "../../session/passkey.ts";
import { usePasskeys } from "./passkeys.tsx";

type User = Schemas["User"];

/** The card of the password that is not there, with the way to one. */
export function NoPasswordCard({ onSet }: { onSet: () => void }) {
  const t = useText(passwordless);
  const title = useText(account)("security.password");
  const set = hasPasskeys() && <Button onClick={onSet}>{t("set")}</Button>;
  return <Card title={title} state={<Pill>{t("none")}</Pill>} about={t("about")} aside={set} />;
}

/** The way to an account without a password, or what it takes, where the browser has passkeys. */
export function GiveUpPassword({ user, onAsk }: { user: User; onAsk: () => void }) {
  const t = useText(passwordless);
  const { data } = usePasskeys();
  if (!hasPasskeys() || !data) return null;
  if (data.items.length === 0 || !user.email) return <p className="small muted">{t("needs")}</p>;
  return (
    <div className="actions actions-start">
      <Button onClick={onAsk}>{t("offer")}</Button>
    </div>
  );
}

interface RemoveProps {
  onClose: () => void;
  /** Without codes where there were some before. */
  onRemoved: (codes: string[]) => void;
  /** It is removed, and nobody knows whether its codes were seen. */
  onUnseen: () => void;
}

/** Takes the password away. */
export function RemovePassword({ onClose, onRemoved, onUnseen }: RemoveProps) {
  const t = useText(passwordless);
  const remove = async () => {
    const body = await showPasskey();
    try {
      const { backup_codes: codes = [] } = await client.post("/v1/auth/password/remove", { body });
      // Codes are shown whatever becomes of this.
      void client.reloadUser().catch(() => undefined);
      onRemoved(codes);
    } catch (error) {
      if (!(await isSoAlready(error, true))) throw error;
      onUnseen();
    }
  };
  return (
    <Confirm
      title={t("removeTitle")}
      body={t("removeBody")}
      verb={t("removeVerb")}
      isDangerous
      place={atProof}
      onConfirm={remove}
      onClose={onClose}
      fields={(form) => <PasskeyProof form={form} />}
    />
  );
}

/** Sets a password where there is none. */
export function SetPassword({ user, onClose, onSet }: { user: User; onClose: () => void; onSet: () => void }) {
  const t = useText(passwordless);
  const set = async (data: FormData) => {
    const body = { ...(await showPasskey()), new_password: String(data.get("new_password")) };
    try {
      await client.post("/v1/auth/password/set", { body });
      await client.reloadUser().catch(() => undefined);
    } catch (error) {
      if (!(await isSoAlready(error, false))) throw error;
    }
    onSet();
  };
  return (
    <Confirm
      title={t("set")}
      body={t("setBody")}
      verb={t("set")}
      place={(failure) => placeOfNewPassword(failure) ?? atProof(failure)}
      onConfirm={set}
      onClose={onClose}
      fields={(form) => (
        <>
          <HiddenUsername value={user.email ?? user.username ?? ""} />
          <NewPasswordField form={form} autoFocus />
          <PasskeyProof form={form} />
        </>
      )}
    />
  );
}

/** Returns whether the account is what was asked for: an answer was lost, or says that it was so before. */
async function isSoAlready(error: unknown, isPasswordless: boolean): Promise<boolean> {
  const { code, changed } = Failure.of(error);
  if (code !== "not_found" && changed === "nothing") return false;
  const user = await client.reloadUser().catch(() => undefined);
  return user?.passwordless === isPasswordless;
}

interface RenewProps {
  onClose: () => void;
  onCodes: (codes: string[]) => void;
}

/** Makes ten new codes; the old ones stop working. */
export function RenewCodesByPasskey({ onClose, onCodes }: RenewProps) {
  const t = useText(account);
  const renew = async () => {
    const { backup_codes } = await client.post("/v1/mfa/backup-codes", { body: await showPasskey() });
    onCodes(backup_codes);
  };
  return (
    <Confirm
      title={t("security.codesRenewTitle")}
      body={t("security.codesRenewBody")}
      verb={t("security.codesRenewConfirm")}
      place={atProof}
      onConfirm={renew}
      onClose={onClose}
      fields={(form) => <PasskeyProof form={form} />}
    />
  );
}
