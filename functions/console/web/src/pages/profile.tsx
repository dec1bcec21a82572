// The own account: name and telephone number, what it is and is signed in with, and its end.
import { useAuth } from "portcullis-client/react";
import { useState } from "react";
import { Button } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Confirm } from "../components/confirm.tsx";
import { TextField } from "../components/field.tsx";
import { Form, useForm } from "../components/form.tsx";
import { atProof, PasskeyOrPassword, proofOf } from "../components/proof.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { account } from "../messages/account/index.ts";
import { useText } from "../messages/catalogue.ts";
import { client, type Schemas } from "../session/client.ts";
import { Address, UsernameOfAccount } from "./profile/sign-in-names.tsx";

type User = Schemas["User"];

/** Three cards: what can be changed, what is known, and the end. */
export default function Profile() {
  const t = useText(account);
  const { user } = useAuth();
  if (!user) return null;
  return (
    <Page title={t("profile.title")} isReading>
      <AboutYou user={user} />
      <Account user={user} />
      <Erase user={user} />
    </Page>
  );
}

function AboutYou({ user }: { user: User }) {
  const t = useText(account);
  const [isSaved, setSaved] = useState(false);
  const form = useForm(async (data) => {
    const phone = String(data.get("phone")).trim();
    await client.patch("/v1/users/me", { body: { name: String(data.get("name")).trim(), phone: phone || null } });
    await client.reloadUser();
    setSaved(true);
  });
  return (
    <Card title={t("profile.about")}>
      <Form form={form} onChange={() => setSaved(false)}>
        <TextField
          label={t("profile.name")}
          name="name"
          autoComplete="name"
          required
          defaultValue={user.name}
          error={form.error("/name")}
        />
        <TextField
          label={t("profile.phone")}
          name="phone"
          type="tel"
          autoComplete="tel"
          isOptional
          defaultValue={user.phone ?? ""}
          error={form.error("/phone")}
        />
        <div className="row">
          <Button type="submit" look="primary" busy={form.isBusy || form.wait > 0}>
            {t("save")}
          </Button>
          <span role="status" className="muted">
            {isSaved && t("saved")}
          </span>
        </div>
      </Form>
    </Card>
  );
}

function Account({ user }: { user: User }) {
  const t = useText(account);
  return (
    <Card title={t("profile.account")} about={t("profile.emailFixed")}>
      <dl className="facts">
        <dt>{t("profile.email")}</dt>
        <Address user={user} />
        <dt>{t("profile.username")}</dt>
        <UsernameOfAccount user={user} />
        <dt>{t("profile.roles")}</dt>
        <dd>{user.roles.join(", ")}</dd>
        <dt>{t("profile.since")}</dt>
        <dd>
          <Time value={user.created_at} as="date" />
        </dd>
        <dt>{t("profile.id")}</dt>
        <dd className="mono">{user.user_id}</dd>
      </dl>
    </Card>
  );
}

function Erase({ user }: { user: User }) {
  const t = useText(account);
  const [isAsked, ask] = useState(false);
  const erase = async (data: FormData) => {
    await client.delete("/v1/users/me", { body: await proofOf(data) });
    await client.logout();
  };
  return (
    <Card
      title={t("profile.erase")}
      about={t("profile.eraseAbout")}
      aside={<Button onClick={() => ask(true)}>{t("profile.eraseButton")}</Button>}
    >
      {isAsked && (
        <Confirm
          title={t("profile.eraseTitle", { name: user.name })}
          body={t("profile.eraseBody")}
          verb={t("profile.eraseConfirm")}
          isDangerous
          place={atProof}
          onConfirm={erase}
          onClose={() => ask(false)}
          fields={(form) => <PasskeyOrPassword form={form} autoFocus />}
        />
      )}
    </Card>
  );
}
