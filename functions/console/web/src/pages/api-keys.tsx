// The own API keys: what each may do, and the one moment in which a key can be seen.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useList } from "../api/lists.ts";
import { Button } from "../components/button.tsx";
import { Confirm } from "../components/confirm.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Loaded, LoadMore } from "../components/loaded.tsx";
import { Secret } from "../components/secret.tsx";
import { EmptyState } from "../components/states.tsx";
import { type Column, Table } from "../components/table.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { account } from "../messages/account/index.ts";
import { useText } from "../messages/catalogue.ts";
import { client, type Schemas } from "../session/client.ts";
import { CreateKey } from "./api-keys/create-key.tsx";
import { useScopeWords } from "./scope-words.ts";

type Key = Schemas["ApiKeyItem"];
type Issued = Schemas["IssuedApiKeyResponse"];
type Open = { is: "create" } | { is: "rotate" | "delete"; of: Key } | { is: "issued"; name: string; clear: string };

const KEYS = ["api-keys"] as const;

/** The list, and the dialogs around it. A key that was issued is in this page's memory until its dialog is left. */
export default function ApiKeys() {
  const t = useText(account);
  const queries = useQueryClient();
  const query = useList(KEYS, (cursor) => client.get("/v1/api-keys", { query: { cursor } }));
  const [dialog, open] = useState<Open>();
  const close = () => open(undefined);
  const issued = async (key: Issued) => {
    open({ is: "issued", name: key.name, clear: key.api_key });
    await queries.invalidateQueries({ queryKey: KEYS });
  };
  const create = (
    <Button look="primary" icon="plus" onClick={() => open({ is: "create" })}>
      {t("keys.create")}
    </Button>
  );
  return (
    <Page title={t("keys.title")}>
      <div className="row-between">
        <p className="muted reading">{t("keys.about")}</p>
        {query.items && query.items.length > 0 && create}
      </div>
      <Loaded query={query} data={query.items}>
        {(keys) =>
          keys.length === 0 ? (
            <EmptyState title={t("keys.emptyTitle")} action={create}>
              {t("keys.empty")}
            </EmptyState>
          ) : (
            <KeyTable keys={keys} onOpen={open} />
          )
        }
      </Loaded>
      <LoadMore query={query} />
      {dialog?.is === "create" && <CreateKey onIssued={issued} onClose={close} />}
      {(dialog?.is === "rotate" || dialog?.is === "delete") && <EndKey {...dialog} onIssued={issued} onClose={close} />}
      {dialog?.is === "issued" && <IssuedKey {...dialog} onClose={close} />}
    </Page>
  );
}

function KeyTable({ keys, onOpen }: { keys: readonly Key[]; onOpen: (dialog: Open) => void }) {
  const t = useText(account);
  const inWords = useScopeWords();
  const columns: Column<Key>[] = [
    { key: "name", header: t("keys.name"), cell: (key) => key.name },
    {
      key: "key",
      header: t("keys.key"),
      cell: (key) => <code>{key.prefix ? `${key.prefix.slice(0, 12)}…` : "—"}</code>,
    },
    { key: "scopes", header: t("keys.scopes"), cell: (key) => key.scopes.map(inWords).join(", ") },
    { key: "used", header: t("keys.used"), cell: (key) => <Time value={key.last_used_at} /> },
    { key: "expires", header: t("keys.expires"), cell: (key) => <Time value={key.expires_at} as="date" /> },
    {
      key: "actions",
      header: t("keys.actions"),
      kind: "actions",
      cell: (key) => (
        <div className="row">
          <Button
            small
            aria-label={t("keys.rotateOne", { name: key.name })}
            onClick={() => onOpen({ is: "rotate", of: key })}
          >
            {t("keys.rotate")}
          </Button>
          <Button
            small
            aria-label={t("keys.deleteOne", { name: key.name })}
            onClick={() => onOpen({ is: "delete", of: key })}
          >
            {t("keys.delete")}
          </Button>
        </div>
      ),
    },
  ];
  return <Table caption={t("keys.title")} columns={columns} rows={keys} rowKey={(key) => key.key_id} />;
}

interface EndKeyProps {
  is: "rotate" | "delete";
  of: Key;
  onIssued: (key: Issued) => Promise<void>;
  onClose: () => void;
}

function EndKey({ is, of: { key_id: id, name }, onIssued, onClose }: EndKeyProps) {
  const t = useText(account);
  const queries = useQueryClient();
  const act = async () => {
    if (is === "rotate") return onIssued(await client.post("/v1/api-keys/{id}/rotate", { params: { id } }));
    await client.delete("/v1/api-keys/{id}", { params: { id } });
    onClose();
    await queries.invalidateQueries({ queryKey: KEYS });
  };
  return (
    <Confirm
      title={t(`keys.${is}Title`, { name })}
      body={t(`keys.${is}Body`)}
      verb={t(`keys.${is}Confirm`)}
      isDangerous={is === "delete"}
      onConfirm={act}
      onClose={onClose}
    />
  );
}

/** The key itself, this once. */
function IssuedKey({ name, clear, onClose }: { name: string; clear: string; onClose: () => void }) {
  const t = useText(account);
  return (
    <Dialog title={t("keys.secretTitle")} onClose={onClose} mustBeAnswered>
      <p>{t("keys.secretBody", { name })}</p>
      <Secret value={clear} label={t("keys.secretLabel")} />
      <div className="actions">
        <Button look="primary" onClick={onClose}>
          {t("keys.secretSaved")}
        </Button>
      </div>
    </Dialog>
  );
}
