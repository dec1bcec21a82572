// How the account is protected: in one sentence, then factor by factor.
import { useAuth } from "portcullis-client/react";
import { useState } from "react";
import { Button, ButtonLink } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Pill } from "../components/pill.tsx";
import { Notice } from "../components/states.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { account } from "../messages/account/index.ts";
import { useText } from "../messages/catalogue.ts";
import type { Schemas } from "../session/client.ts";
import { BackupCodes } from "./security/backup-codes.tsx";
import { ChangePassword } from "./security/change-password.tsx";
import { RemoveApp, RenewCodes } from "./security/confirm-factor.tsx";
import { Passkeys } from "./security/passkeys.tsx";
import { SetUpApp } from "./security/set-up-app.tsx";
import { useSessions } from "./sessions.tsx";

type Open = "password" | "set-up" | "remove" | "renew" | { codes: string[] };

/** One sentence about strength, and a card for each thing that protects. */
export default function Security() {
  const t = useText(account);
  const { user } = useAuth();
  const [dialog, open] = useState<Open>();
  const [isChanged, setChanged] = useState(false);
  const close = () => open(undefined);
  if (!user) return null;
  const strength = user.mfa_enabled ? "security.strong" : "security.weak";
  return (
    <Page title={t("security.title")} isReading>
      <div className="stack-tight">
        <p className="lead">{t(strength)}</p>
        <p className="muted">{t(`${strength}Body`)}</p>
      </div>
      {isChanged && (
        <Notice tone="success" isNews>
          {t("security.passwordChanged")}
        </Notice>
      )}
      <Factors user={user} onOpen={open} />
      {dialog === "password" && (
        <ChangePassword
          user={user}
          onClose={close}
          onChanged={() => {
            setChanged(true);
            close();
          }}
        />
      )}
      {dialog === "set-up" && <SetUpApp user={user} onClose={close} />}
      {dialog === "remove" && <RemoveApp user={user} onClose={close} />}
      {dialog === "renew" && <RenewCodes user={user} onClose={close} onCodes={(codes) => open({ codes })} />}
      {typeof dialog === "object" && <BackupCodes name={user.name} codes={dialog.codes} onSaved={close} />}
    </Page>
  );
}

function Factors({ user, onOpen }: { user: Schemas["User"]; onOpen: (dialog: Open) => void }) {
  const t = useText(account);
  const state = user.mfa_enabled ? (
    <Pill tone="success">{t("security.appOn")}</Pill>
  ) : (
    <Pill>{t("security.appOff")}</Pill>
  );
  const setUp = (
    <Button look="primary" onClick={() => onOpen("set-up")}>
      {t("security.appSetUp")}
    </Button>
  );
  const remove = <Button onClick={() => onOpen("remove")}>{t("security.appRemove")}</Button>;
  return (
    <div className="stack">
      <Card
        title={t("security.app")}
        state={state}
        about={t("security.appAbout")}
        aside={user.mfa_enabled ? remove : setUp}
      />
      {user.mfa_enabled && (
        <Card
          title={t("security.codes")}
          about={t("security.codesAbout")}
          aside={<Button onClick={() => onOpen("renew")}>{t("security.codesRenew")}</Button>}
        />
      )}
      <Passkeys />
      <Card
        title={t("security.password")}
        about={<Expiry at={user.password_expires_at} />}
        aside={<Button onClick={() => onOpen("password")}>{t("security.passwordChange")}</Button>}
      />
      <Devices />
    </div>
  );
}

function Expiry({ at }: { at: string | null | undefined }) {
  const t = useText(account);
  if (!at) return t("security.passwordNoEnd");
  return (
    <>
      {t("security.passwordExpires")} <Time value={at} as="date" />
    </>
  );
}

function Devices() {
  const t = useText(account);
  const count = useSessions().items?.length;
  const about = count === undefined ? "…" : t("security.devicesCount", { count });
  const show = <ButtonLink to="/sessions">{t("security.devicesShow")}</ButtonLink>;
  return <Card title={t("security.devices")} about={about} aside={show} />;
}
