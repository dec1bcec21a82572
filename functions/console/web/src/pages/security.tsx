// How the account is protected: in one sentence, then factor by factor.
import { useQueryClient } from "@tanstack/react-query";
import { useAuth } from "portcullis-client/react";
import { useState } from "react";
import { Button, ButtonLink } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Pill } from "../components/pill.tsx";
import { Notice, type Tone } from "../components/states.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { account } from "../messages/account/index.ts";
import { useText } from "../messages/catalogue.ts";
import { passwordless } from "../messages/passwordless/index.ts";
import type { Schemas } from "../session/client.ts";
import { BackupCodes } from "./security/backup-codes.tsx";
import { ChangePassword } from "./security/change-password.tsx";
import { RemoveApp, RenewCodes } from "./security/confirm-factor.tsx";
import { Passkeys } from "./security/passkeys.tsx";
import {
  GiveUpPassword,
  NoPasswordCard,
  RemovePassword,
  RenewCodesByPasskey,
  SetPassword,
} from "./security/passwordless.tsx";
import { SetUpApp } from "./security/set-up-app.tsx";
import { useSessions } from "./sessions.tsx";

type User = Schemas["User"];
type Open = "password" | "set-up" | "remove" | "renew" | "give-up" | "set" | { codes: string[] };
type News = { tone: Tone; text: string };

/** One sentence about strength, and a card for each thing that protects. */
export default function Security() {
  const { user } = useAuth();
  const title = useText(account)("security.title");
  const [dialog, open] = useState<Open>();
  const [news, tell] = useState<News>();
  if (!user) return null;
  return (
    <Page title={title} isReading>
      <Strength user={user} />
      {news && (
        <Notice tone={news.tone} isNews>
          {news.text}
        </Notice>
      )}
      <Factors user={user} onOpen={open} />
      {dialog && <SecurityDialog dialog={dialog} user={user} onOpen={open} onNews={tell} />}
    </Page>
  );
}

function Strength({ user }: { user: User }) {
  const t = useText(account);
  const p = useText(passwordless);
  const strength = user.mfa_enabled ? "security.strong" : "security.weak";
  return (
    <div className="stack-tight">
      <p className="lead">{user.passwordless ? p("lead") : t(strength)}</p>
      <p className="muted">{user.passwordless ? p("leadBody") : t(`${strength}Body`)}</p>
    </div>
  );
}

interface DialogProps {
  dialog: Open;
  user: User;
  onOpen: (dialog: Open | undefined) => void;
  onNews: (news: News) => void;
}

/** The dialog that is open, and what comes after it. */
function SecurityDialog({ dialog, user, onOpen, onNews }: DialogProps) {
  const t = useText(account);
  const p = useText(passwordless);
  const queries = useQueryClient();
  const onClose = () => onOpen(undefined);
  // A password that is changed, removed or set ends the other sessions.
  const tell = (news: News) => {
    void queries.invalidateQueries();
    onNews(news);
  };
  const done = (text: string) => {
    tell({ tone: "success", text });
    onClose();
  };
  const showCodes = (codes: string[]) => onOpen({ codes });
  const removed = (codes: string[]) => {
    done(p(codes.length > 0 ? "removedNow" : "removed"));
    if (codes.length > 0) showCodes(codes);
  };
  const unseen = () => {
    tell({ tone: "warning", text: p("unseen") });
    onOpen("renew");
  };
  if (typeof dialog === "object") {
    const about = user.passwordless ? p("codesSave") : undefined;
    return <BackupCodes name={user.name} codes={dialog.codes} onSaved={onClose} {...(about && { about })} />;
  }
  switch (dialog) {
    case "password":
      return <ChangePassword user={user} onClose={onClose} onChanged={() => done(t("security.passwordChanged"))} />;
    case "set-up":
      return <SetUpApp user={user} onClose={onClose} />;
    case "remove":
      return <RemoveApp user={user} onClose={onClose} />;
    case "renew":
      return user.passwordless ? (
        <RenewCodesByPasskey onClose={onClose} onCodes={showCodes} />
      ) : (
        <RenewCodes user={user} onClose={onClose} onCodes={showCodes} />
      );
    case "give-up":
      return <RemovePassword onClose={onClose} onRemoved={removed} onUnseen={unseen} />;
    case "set":
      return <SetPassword user={user} onClose={onClose} onSet={() => done(p("setDone"))} />;
  }
}

interface CardProps {
  user: User;
  onOpen: (dialog: Open) => void;
}

function Factors({ user, onOpen }: CardProps) {
  const t = useText(account);
  const codesAbout = useText(passwordless)("codesAbout");
  return (
    <div className="stack">
      {/* An app is asked for after a password, and takes one to be turned off. */}
      {!user.passwordless && <AppCard user={user} onOpen={onOpen} />}
      {user.mfa_enabled && (
        <Card
          title={t("security.codes")}
          about={user.passwordless ? codesAbout : t("security.codesAbout")}
          aside={<Button onClick={() => onOpen("renew")}>{t("security.codesRenew")}</Button>}
        />
      )}
      <Passkeys />
      {user.passwordless ? (
        <NoPasswordCard onSet={() => onOpen("set")} />
      ) : (
        <Card
          title={t("security.password")}
          about={<Expiry at={user.password_expires_at} />}
          aside={<Button onClick={() => onOpen("password")}>{t("security.passwordChange")}</Button>}
        >
          <GiveUpPassword user={user} onAsk={() => onOpen("give-up")} />
        </Card>
      )}
      <Devices />
    </div>
  );
}

function AppCard({ user, onOpen }: CardProps) {
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
    <Card
      title={t("security.app")}
      state={state}
      about={t("security.appAbout")}
      aside={user.mfa_enabled ? remove : setUp}
    />
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
