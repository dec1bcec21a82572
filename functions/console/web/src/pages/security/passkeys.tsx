// The own passkeys: what there is, when it was last used, and what can be done about it.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { isDismissed } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { Card } from "../../components/card.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { TextField } from "../../components/field.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { atProof, ProofField, proofOf } from "../../components/proof.tsx";
import { Notice } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Time } from "../../components/time.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { client, type Schemas } from "../../session/client.ts";
import { addPasskey, hasPasskeys, isThereAlready } from "../../session/passkey.ts";
import { browserAndSystem } from "../device-name.ts";

type Passkey = Schemas["PasskeyItem"];
type Open = "add" | { rename: Passkey } | { remove: Passkey };

/** The cache key of the list. */
export const PASSKEYS = ["passkeys"] as const;

/** Reads the own passkeys: all of them. */
export function usePasskeys(isWanted = true) {
  return useQuery({ queryKey: PASSKEYS, queryFn: () => client.get("/v1/passkeys"), enabled: isWanted });
}

/** The card with the list, and the dialogs that it opens. */
export function Passkeys() {
  const t = useText(account);
  const query = usePasskeys();
  const [search, setSearch] = useSearchParams();
  const isAsked = search.get("add") === "passkey" && hasPasskeys();
  const [dialog, open] = useState<Open | undefined>(isAsked ? "add" : undefined);
  const close = () => {
    open(undefined);
    setSearch({}, { replace: true });
  };
  const add = hasPasskeys() ? <Button onClick={() => open("add")}>{t("passkeys.add")}</Button> : undefined;
  return (
    <Card title={t("passkeys.title")} about={t("passkeys.about")} aside={add}>
      <Loaded query={query} data={query.data?.items}>
        {(items) => items.length > 0 && <PasskeyTable passkeys={items} onOpen={open} />}
      </Loaded>
      {dialog === "add" && <AddPasskey onClose={close} />}
      {typeof dialog === "object" && "rename" in dialog && <RenamePasskey passkey={dialog.rename} onClose={close} />}
      {typeof dialog === "object" && "remove" in dialog && <RemovePasskey passkey={dialog.remove} onClose={close} />}
    </Card>
  );
}

function PasskeyTable({ passkeys, onOpen }: { passkeys: readonly Passkey[]; onOpen: (dialog: Open) => void }) {
  const t = useText(account);
  const columns: Column<Passkey>[] = [
    { key: "name", header: t("passkeys.name"), cell: (passkey) => passkey.name },
    { key: "made", header: t("passkeys.made"), cell: (passkey) => <Time value={passkey.created_at} as="date" /> },
    { key: "used", header: t("passkeys.used"), cell: (passkey) => <Time value={passkey.last_used_at} /> },
    {
      key: "copies",
      header: t("passkeys.copies"),
      cell: (passkey) => t(passkey.backed_up ? "passkeys.copied" : "passkeys.single"),
    },
    {
      key: "actions",
      header: t("passkeys.actions"),
      kind: "actions",
      cell: (passkey) => <Actions passkey={passkey} onOpen={onOpen} />,
    },
  ];
  return <Table caption={t("passkeys.title")} columns={columns} rows={passkeys} rowKey={(each) => each.passkey_id} />;
}

function Actions({ passkey, onOpen }: { passkey: Passkey; onOpen: (dialog: Open) => void }) {
  const t = useText(account);
  const { name } = passkey;
  return (
    <div className="row">
      <Button small aria-label={t("passkeys.renameOne", { name })} onClick={() => onOpen({ rename: passkey })}>
        {t("passkeys.rename")}
      </Button>
      <Button small aria-label={t("passkeys.removeOne", { name })} onClick={() => onOpen({ remove: passkey })}>
        {t("passkeys.remove")}
      </Button>
    </div>
  );
}

/** What to call a passkey of this device until its owner says otherwise. */
function useOwnName(): string {
  const t = useText(account);
  const { browser, system } = browserAndSystem(navigator.userAgent);
  return browser && system ? t("sessions.on", { browser, system }) : (browser ?? system ?? "");
}

/** Asks for the proof and a name, then the browser asks for the rest. */
export function AddPasskey({ onClose }: { onClose: () => void }) {
  const t = useText(account);
  const cache = useQueryClient();
  const name = useOwnName();
  const [trouble, setTrouble] = useState<"passkeys.dismissed" | "passkeys.thereAlready">();
  const add = async (data: FormData) => {
    setTrouble(undefined);
    try {
      await addPasskey(await proofOf(data), String(data.get("name")).trim());
    } catch (error) {
      if (!isDismissed(error) && !isThereAlready(error)) throw error;
      setTrouble(isThereAlready(error) ? "passkeys.thereAlready" : "passkeys.dismissed");
      return;
    }
    await cache.invalidateQueries({ queryKey: PASSKEYS });
    onClose();
  };
  return (
    <Confirm
      title={t("passkeys.addTitle")}
      body={t("passkeys.addBody")}
      verb={t("passkeys.addVerb")}
      place={atProof}
      onConfirm={add}
      onClose={onClose}
      fields={(form) => (
        <>
          {trouble && (
            <Notice tone="warning" isNews>
              {t(trouble)}
            </Notice>
          )}
          <TextField
            label={t("passkeys.name")}
            name="name"
            defaultValue={name}
            maxLength={100}
            required
            error={form.error("/name")}
          />
          <ProofField form={form} autoFocus />
        </>
      )}
    />
  );
}

function RenamePasskey({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const t = useText(account);
  const cache = useQueryClient();
  const rename = async (data: FormData) => {
    const body = { name: String(data.get("name")).trim() };
    await client.patch("/v1/passkeys/{id}", { params: { id: passkey.passkey_id }, body });
    await cache.invalidateQueries({ queryKey: PASSKEYS });
    onClose();
  };
  return (
    <Confirm
      title={t("passkeys.renameTitle", { name: passkey.name })}
      body={t("passkeys.renameBody")}
      verb={t("passkeys.renameVerb")}
      onConfirm={rename}
      onClose={onClose}
      fields={(form) => (
        <TextField
          label={t("passkeys.name")}
          name="name"
          defaultValue={passkey.name}
          maxLength={100}
          required
          autoFocus
          error={form.error("/name")}
        />
      )}
    />
  );
}

function RemovePasskey({ passkey, onClose }: { passkey: Passkey; onClose: () => void }) {
  const t = useText(account);
  const cache = useQueryClient();
  const remove = async (data: FormData) => {
    const call = { params: { id: passkey.passkey_id }, body: await proofOf(data) };
    await client.delete("/v1/passkeys/{id}", call);
    await cache.invalidateQueries({ queryKey: PASSKEYS });
    onClose();
  };
  return (
    <Confirm
      title={t("passkeys.removeTitle", { name: passkey.name })}
      body={t("passkeys.removeBody")}
      verb={t("passkeys.removeVerb")}
      isDangerous
      place={atProof}
      onConfirm={remove}
      onClose={onClose}
      fields={(form) => <ProofField form={form} autoFocus />}
    />
  );
}
