// The dialog that makes an API key: its name, its end, and what it may do.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Failure } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { Field, TextField } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { useScopeWords } from "../scope-words.ts";

const LIFETIMES = [30, 90, 365] as const;
const DAY = 86_400_000;
/** What the service lets no key do, whatever its owner may. */
const NEVER_WITH_KEY = new Set(["api-key", "mfa", "password", "session"]);

interface Props {
  onIssued: (key: Schemas["IssuedApiKeyResponse"]) => Promise<void>;
  onClose: () => void;
}

/** A retry of the same values gets the same key. */
export function CreateKey({ onIssued, onClose }: Props) {
  const t = useText(account);
  const c = useText(core);
  const [isLimited, limit] = useState(true);
  const form = useForm(async (data) => {
    const days = Number(data.get("days"));
    const body = {
      name: String(data.get("name")).trim(),
      expires_at: days > 0 ? endOfDay(days) : undefined,
      scopes: isLimited ? data.getAll("scope").map(String) : undefined,
    };
    await onIssued(await client.post("/v1/api-keys", { body, idempotencyKey: form.idempotencyKey(data) }));
  }, tooMany);
  return (
    <Dialog title={t("keys.createTitle")} onClose={onClose} isWide>
      <Form form={form}>
        <TextField
          label={t("keys.name")}
          name="name"
          hint={t("keys.nameHint")}
          autoComplete="off"
          maxLength={100}
          required
          autoFocus
          error={form.error("/name")}
        />
        <Field label={t("keys.lifetime")} error={form.error("/expires_at")}>
          {(control) => (
            <select {...control} name="days" defaultValue={90}>
              {LIFETIMES.map((days) => (
                <option key={days} value={days}>
                  {t("keys.days", { count: days })}
                </option>
              ))}
              <option value={0}>{t("keys.longest")}</option>
            </select>
          )}
        </Field>
        <Scopes isLimited={isLimited} onLimit={limit} error={form.error("/scopes")} />
        <div className="actions">
          <Button onClick={onClose}>{c("cancel")}</Button>
          <Button type="submit" look="primary" busy={form.isBusy || form.wait > 0}>
            {t("keys.createButton")}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}

/** Whole days, so that a retry sends the very same request. */
function endOfDay(days: number): string {
  return new Date(Math.ceil(Date.now() / DAY) * DAY + days * DAY).toISOString();
}

function tooMany(failure: Failure): string | undefined {
  return failure.code === "too_many_api_keys" ? "/name" : undefined;
}

function Scopes({ isLimited, onLimit, error }: { isLimited: boolean; onLimit: (is: boolean) => void; error?: string }) {
  const t = useText(account);
  const inWords = useScopeWords();
  const query = useQuery({ queryKey: ["permissions"], queryFn: () => client.get("/v1/authz/permissions") });
  const permissions = query.data?.permissions.filter((each) => !NEVER_WITH_KEY.has(each.split(":")[0] ?? ""));
  return (
    <fieldset className="choices">
      <legend className="field-label">{t("keys.scope")}</legend>
      {error && <p className="field-error">{error}</p>}
      <label className="check">
        <input type="radio" name="limit" checked={isLimited} onChange={() => onLimit(true)} />
        {t("keys.scopeSome")}
      </label>
      {isLimited && (
        <div className="scopes">
          {permissions?.map((permission) => (
            <label key={permission} className="check">
              <input type="checkbox" name="scope" value={permission} />
              <span>
                {inWords(permission)} <code className="muted">{permission}</code>
              </span>
            </label>
          ))}
        </div>
      )}
      <label className="check">
        <input type="radio" name="limit" checked={!isLimited} onChange={() => onLimit(false)} />
        {t("keys.scopeAll")}
      </label>
    </fieldset>
  );
}
