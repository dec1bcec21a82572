// What the account is signed in with: its address and its username, and how each becomes another one.
import { useState } from "react";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { TextField } from "../../components/field.tsx";
import { Pill } from "../../components/pill.tsx";
import { atProof, ProofField, proofOf } from "../../components/proof.tsx";
import { Notice } from "../../components/states.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { client, type Schemas } from "../../session/client.ts";

type User = Schemas["User"];

/** The address with its button, and what was sent. */
export function Address({ user }: { user: User }) {
  const t = useText(account);
  const [isAsked, ask] = useState(false);
  const [sentTo, sent] = useState<string>();
  const request = async (data: FormData) => {
    const email = String(data.get("email")).trim();
    await client.post("/v1/users/me/email", { body: { email, ...(await proofOf(data)) } });
    sent(email);
    ask(false);
  };
  return (
    <>
      <dd className="row">
        {user.email ?? t("profile.emailNone")}
        {user.email && (
          <Pill tone={user.email_verified ? "success" : "neutral"}>
            {t(user.email_verified ? "profile.confirmed" : "profile.unconfirmed")}
          </Pill>
        )}
        <Button small onClick={() => ask(true)}>
          {t("profile.emailChange")}
        </Button>
      </dd>
      {sentTo && (
        <dd>
          <Notice tone="success" isNews title={t("profile.emailSent", { email: sentTo })}>
            {t("profile.emailSentBody")}
          </Notice>
        </dd>
      )}
      {isAsked && (
        <Confirm
          title={t("profile.emailTitle")}
          body={t("profile.emailBody")}
          verb={t("profile.emailVerb")}
          place={atProof}
          onConfirm={request}
          onClose={() => ask(false)}
          fields={(form) => (
            <>
              <TextField
                label={t("profile.emailNew")}
                name="email"
                type="email"
                autoComplete="email"
                required
                autoFocus
                error={form.error("/email")}
              />
              <ProofField form={form} />
            </>
          )}
        />
      )}
    </>
  );
}

/** The username with its button. An account without an address keeps its username. */
export function UsernameOfAccount({ user }: { user: User }) {
  const t = useText(account);
  const [isAsked, ask] = useState(false);
  const change = async (data: FormData) => {
    const username = String(data.get("new-username")).trim();
    await client.put("/v1/users/me/username", { body: { username, ...(await proofOf(data)) } });
    await client.reloadUser();
    ask(false);
  };
  return (
    <dd className="row">
      {user.username ?? t("profile.usernameNone")}
      {user.email && (
        <Button small onClick={() => ask(true)}>
          {t(user.username ? "profile.usernameChange" : "profile.usernameChoose")}
        </Button>
      )}
      {isAsked && (
        <Confirm
          title={t("profile.usernameTitle")}
          body={t("profile.usernameBody")}
          verb={t("profile.usernameVerb")}
          place={(failure) => (failure.code === "username_taken" ? "/username" : atProof(failure))}
          onConfirm={change}
          onClose={() => ask(false)}
          fields={(form) => (
            <>
              <TextField
                label={t("profile.usernameNew")}
                name="new-username"
                autoComplete="off"
                autoCapitalize="none"
                spellCheck={false}
                required
                autoFocus
                error={form.error("/username")}
              />
              <ProofField form={form} />
            </>
          )}
        />
      )}
    </dd>
  );
}
