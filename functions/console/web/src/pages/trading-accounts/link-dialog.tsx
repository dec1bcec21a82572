// Linking an account: broker, name there, key and secret; then the broker is asked, or logged in at.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Field, TextField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { useProviders } from "../../components/provider-strip.tsx";
import { Secret } from "../../components/secret.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import { tradingChanged } from "../../frame/trading-state.ts";
import { useText } from "../../messages/catalogue.ts";
import { trading } from "../../messages/trading/index.ts";
import { client } from "../../session/client.ts";
import { Buttons, KeyFields } from "./account-dialogs.tsx";
import { Checked } from "./checked.tsx";
import { LoginLink } from "./login-link.tsx";
import type { Verification } from "./state.ts";

interface Linked {
  broker: string;
  answer: Verification | undefined;
}

/** The form, and then what is left to do. */
export function LinkDialog({ onClose }: { onClose: () => void }) {
  const t = useText(trading);
  const queries = useQueryClient();
  const [linked, setLinked] = useState<Linked>();
  const form = useForm(async (data) => {
    const typed = (name: string) => String(data.get(name)).trim();
    const [broker, label] = [typed("broker"), typed("label")];
    const body = {
      broker,
      user_id_broker: typed("user_id_broker"),
      api_key: typed("api_key"),
      api_secret: typed("api_secret"),
      label: label || null,
    };
    const account = await client.post("/v1/trading-accounts", { body, idempotencyKey: form.idempotencyKey(data) });
    // The account is linked even where the broker cannot be asked now; its card says what is left.
    const asked = client.post("/v1/trading-accounts/{id}/verify", { params: { id: account.account_id } });
    const answer = await asked.catch(() => undefined);
    tradingChanged(queries);
    setLinked({ broker, answer });
  });
  return (
    <Dialog title={t("link.title")} onClose={onClose}>
      {linked ? (
        <LinkedStep {...linked} onClose={onClose} />
      ) : (
        <Form form={form}>
          <BrokerFields error={form.error} />
          <KeyFields error={form.error} />
          <TextField
            label={t("link.label")}
            hint={t("link.labelHint")}
            name="label"
            maxLength={100}
            autoComplete="off"
            isOptional
            error={form.error("/label")}
          />
          <Buttons isBusy={form.isBusy} onClose={onClose} submit={t("link.submit")} />
        </Form>
      )}
    </Dialog>
  );
}

function BrokerFields({ error }: { error: (pointer: string) => string | undefined }) {
  const t = useText(trading);
  const offered = useProviders().data?.items.filter((provider) => provider.is_broker) ?? [];
  const [chosen, choose] = useState<string>();
  const broker = chosen ?? offered[0]?.name ?? "";
  return (
    <>
      <Field label={t("link.broker")} error={error("/broker")}>
        {(control) => (
          <select {...control} name="broker" required value={broker} onChange={(event) => choose(event.target.value)}>
            {offered.map(({ name }) => (
              <option key={name} value={name}>
                {brokerName(name)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {broker === "kite" && (
        <div className="stack-tight">
          <p className="field-hint">{t("link.redirect")}</p>
          <Secret label={t("link.redirect")} value={`${location.origin}/broker-callback`} />
        </div>
      )}
      <TextField
        label={t("link.user")}
        name="user_id_broker"
        required
        maxLength={100}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        error={error("/user_id_broker")}
      />
    </>
  );
}

/** What the broker answered, and the step that is left. */
export function LinkedStep({ broker, answer, onClose }: Linked & { onClose: () => void }) {
  const t = useText(trading);
  const name = brokerName(broker);
  return (
    <div className="stack">
      {answer?.login_url ? (
        <>
          <p>{t("link.doneLogin", { broker: name })}</p>
          <p className="muted">{t("advice.pendingLogin", { broker: name })}</p>
        </>
      ) : answer ? (
        <Checked broker={broker} answer={answer} />
      ) : (
        <p>{t("link.done", { broker: name })}</p>
      )}
      <div className="actions">
        <Button look={answer?.login_url ? "plain" : "primary"} onClick={onClose}>
          {answer?.login_url ? t("link.later") : t("link.done.close")}
        </Button>
        {answer?.login_url && (
          <LoginLink url={answer.login_url} isPrimary>
            {t("action.login", { broker: name })}
          </LoginLink>
        )}
      </div>
    </div>
  );
}
