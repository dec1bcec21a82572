// What can be done with an account, each in a dialog that says what will happen. Secrets are in its fields alone, which are
// gone with it.
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { SecretField, TextField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import { type TradingAccount, tradingChanged } from "../../frame/trading-state.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { trading } from "../../messages/trading/index.ts";
import { client } from "../../session/client.ts";
import { LinkedStep } from "./link-dialog.tsx";
import { accountName, type Verification } from "./state.ts";

/** What is being done with an account. */
export type Doing = "rename" | "replace" | "mute" | "unmute" | "disable" | "enable" | "unlink";

interface AccountDialogProps {
  account: TradingAccount;
  onClose: () => void;
}

/** The dialog of what is being done. */
export function AccountDialog({ doing, ...props }: AccountDialogProps & { doing: Doing }) {
  switch (doing) {
    case "rename":
      return <Rename {...props} />;
    case "replace":
      return <Replace {...props} />;
    case "mute":
    case "unmute":
      return <SessionMails {...props} />;
    case "unlink":
      return <Unlink {...props} />;
    default:
      return <SwitchOnOrOff {...props} />;
  }
}

function Rename({ account, onClose }: AccountDialogProps) {
  const t = useText(trading);
  const form = useChange(async (data) => {
    const label = String(data.get("label")).trim() || null;
    await client.patch("/v1/trading-accounts/{id}", { params: { id: account.account_id }, body: { label } });
  }, onClose);
  return (
    <Dialog title={t("rename.title", { name: accountName(account) })} onClose={onClose}>
      <Form form={form}>
        <TextField
          label={t("link.label")}
          hint={t("link.labelHint")}
          name="label"
          defaultValue={account.label ?? ""}
          maxLength={100}
          autoComplete="off"
          autoFocus
          isOptional
          error={form.error("/label")}
        />
        <Buttons isBusy={form.isBusy} onClose={onClose} submit={t("rename.save")} />
      </Form>
    </Dialog>
  );
}

function Replace({ account, onClose }: AccountDialogProps) {
  const t = useText(trading);
  const [answer, setAnswer] = useState<Verification>();
  const name = accountName(account);
  const params = { id: account.account_id };
  const form = useChange(async (data) => {
    const body = { api_key: String(data.get("api_key")).trim(), api_secret: String(data.get("api_secret")).trim() };
    await client.put("/v1/trading-accounts/{id}/credentials", { params, body });
    if (account.status === "disabled") onClose();
    else setAnswer(await client.post("/v1/trading-accounts/{id}/verify", { params }));
  });
  return (
    <Dialog title={t("replace.title", { name })} onClose={onClose}>
      {answer ? (
        <LinkedStep broker={account.broker} answer={answer} onClose={onClose} />
      ) : (
        <Form form={form}>
          <p>{t("replace.about")}</p>
          <KeyFields error={form.error} />
          <Buttons isBusy={form.isBusy} onClose={onClose} submit={t("replace.submit")} />
        </Form>
      )}
    </Dialog>
  );
}

/** The key and the secret that a broker issued. */
export function KeyFields({ error }: { error: (pointer: string) => string | undefined }) {
  const t = useText(trading);
  return (
    <>
      <SecretField label={t("link.key")} name="api_key" required maxLength={512} error={error("/api_key")} />
      <SecretField
        label={t("link.secret")}
        hint={t("link.secretHint")}
        name="api_secret"
        required
        maxLength={512}
        error={error("/api_secret")}
      />
    </>
  );
}

function SwitchOnOrOff({ account, onClose }: AccountDialogProps) {
  const t = useText(trading);
  const isOff = account.status === "disabled";
  const form = useChange(async () => {
    await client.patch("/v1/trading-accounts/{id}", { params: { id: account.account_id }, body: { enabled: isOff } });
  }, onClose);
  const name = accountName(account);
  return (
    <Dialog title={isOff ? t("action.enable") : t("disable.title", { name })} onClose={onClose}>
      <Form form={form}>
        <p>{isOff ? t("advice.pending", { broker: brokerName(account.broker) }) : t("disable.about")}</p>
        <Buttons
          isBusy={form.isBusy}
          onClose={onClose}
          submit={isOff ? t("action.enable") : t("disable.submit")}
          look={isOff ? "primary" : "danger"}
        />
      </Form>
    </Dialog>
  );
}

function SessionMails({ account, onClose }: AccountDialogProps) {
  const t = useText(trading);
  const body = { session_mails: !account.session_mails };
  const form = useChange(async () => {
    await client.patch("/v1/trading-accounts/{id}", { params: { id: account.account_id }, body });
  }, onClose);
  const verb = t(account.session_mails ? "action.mute" : "action.unmute");
  return (
    <Dialog title={verb} onClose={onClose}>
      <Form form={form}>
        <p>{t("mails.about", { broker: brokerName(account.broker) })}</p>
        <Buttons isBusy={form.isBusy} onClose={onClose} submit={verb} />
      </Form>
    </Dialog>
  );
}

function Unlink({ account, onClose }: AccountDialogProps) {
  const t = useText(trading);
  const name = accountName(account);
  const form = useChange(async () => {
    await client.delete("/v1/trading-accounts/{id}", { params: { id: account.account_id } });
  }, onClose);
  const facts = { name, broker: brokerName(account.broker), user: account.user_id_broker };
  return (
    <Dialog title={t("unlink.title", { name })} onClose={onClose}>
      <Form form={form}>
        <p>{t("unlink.about", facts)}</p>
        <Buttons isBusy={form.isBusy} onClose={onClose} submit={t("unlink.submit", { name })} look="danger" />
      </Form>
    </Dialog>
  );
}

/** A form that changes accounts: every page and tab asks for them anew. */
function useChange(send: (data: FormData) => Promise<void>, onDone?: () => void) {
  const queries = useQueryClient();
  return useForm(async (data) => {
    await send(data);
    tradingChanged(queries);
    onDone?.();
  });
}

interface ButtonsProps {
  isBusy: boolean;
  onClose: () => void;
  submit: string;
  look?: "primary" | "danger";
  children?: ReactNode;
}

/** The two buttons at the end of a form in a dialog. */
export function Buttons({ isBusy, onClose, submit, look = "primary" }: ButtonsProps) {
  const t = useText(core);
  return (
    <div className="actions">
      <Button onClick={onClose}>{t("cancel")}</Button>
      <Button type="submit" look={look} busy={isBusy}>
        {submit}
      </Button>
    </div>
  );
}
