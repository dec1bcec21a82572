// The administrators' kill switch for one person: freezes with a reason that the person reads, and lifts that again.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/confirm.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { Notice } from "../../../components/states.tsx";
import { clockTime, useNow } from "../../../components/time.tsx";
import type { Freeze, FrozenAccount } from "../../../frame/trading-state.ts";
import { StoppedAccounts } from "../../../frame/trading-switch.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { core } from "../../../messages/core/index.ts";
import { client } from "../../../session/client.ts";
import { FreezeFields, freezeIn } from "../freeze-fields.tsx";

const BY = { self: "frozen.self", admin: "frozen.admin", everybody: "frozen.everybody" } as const;

/** What stands in the way of reading the person's credentials, and the switch. */
export function PersonFreeze({ id, name, freezes }: { id: string; name: string; freezes: readonly Freeze[] }) {
  const t = useText(admin);
  const [asked, ask] = useState<"freeze" | "lift">();
  const [stopped, setStopped] = useState<readonly FrozenAccount[]>();
  const isByAdmin = freezes.some(({ by }) => by === "admin");
  const close = () => ask(undefined);
  return (
    <div className="stack">
      <StandingFreezes name={name} freezes={freezes} />
      <div className="actions">
        {isByAdmin ? (
          <Button onClick={() => ask("lift")}>{t("freeze.lift")}</Button>
        ) : (
          <Button onClick={() => ask("freeze")}>{t("freeze.do")}</Button>
        )}
      </div>
      {asked === "freeze" && <FreezeDialog id={id} name={name} onClose={close} onDone={setStopped} />}
      {asked === "lift" && <LiftDialog id={id} name={name} onClose={close} />}
      {stopped && <Outcome name={name} accounts={stopped} onClose={() => setStopped(undefined)} />}
    </div>
  );
}

function StandingFreezes({ name, freezes }: { name: string; freezes: readonly Freeze[] }) {
  const t = useText(admin);
  const words = useText(core);
  const present = useNow();
  return freezes.map(({ by, since, until, reason }) => (
    <Notice key={by} tone="danger" title={t(BY[by], { name, time: clockTime(Date.parse(since), present) })}>
      {until && `${words("trading.until", { time: clockTime(Date.parse(until), present) })} `}
      {reason}
    </Notice>
  ));
}

interface DialogProps {
  id: string;
  name: string;
  onClose: () => void;
}

interface FreezeDialogProps extends DialogProps {
  onDone: (accounts: readonly FrozenAccount[]) => void;
}

function FreezeDialog({ id, name, onClose, onDone }: FreezeDialogProps) {
  const t = useText(admin);
  const queries = useQueryClient();
  const freeze = async (data: FormData) => {
    const body = { ...freezeIn(data), cancel_orders: data.has("cancel_orders") };
    const { accounts } = await client.post("/v1/admin/users/{id}/freeze", { params: { id }, body });
    await queries.invalidateQueries();
    onDone(accounts);
    onClose();
  };
  return (
    <Confirm
      title={t("freeze.title", { name })}
      body={t("freeze.about", { name })}
      verb={t("freeze.do")}
      isDangerous
      onConfirm={freeze}
      onClose={onClose}
      fields={(form) => (
        <>
          <FreezeFields form={form} hint={t("freeze.reasonHint", { name })} />
          <label className="check">
            <input type="checkbox" name="cancel_orders" />
            <span>{t("freeze.cancel")}</span>
            <span className="field-hint">{t("freeze.cancelHint")}</span>
          </label>
        </>
      )}
    />
  );
}

function LiftDialog({ id, name, onClose }: DialogProps) {
  const t = useText(admin);
  const queries = useQueryClient();
  const lift = async () => {
    await client.post("/v1/admin/users/{id}/unfreeze", { params: { id } });
    await queries.invalidateQueries();
    onClose();
  };
  return (
    <Confirm
      title={t("freeze.liftTitle", { name })}
      body={t("freeze.liftAbout", { name })}
      verb={t("freeze.lift")}
      onConfirm={lift}
      onClose={onClose}
    />
  );
}

interface OutcomeProps {
  name: string;
  accounts: readonly FrozenAccount[];
  onClose: () => void;
}

function Outcome({ name, accounts, onClose }: OutcomeProps) {
  const t = useText(admin);
  const words = useText(core);
  return (
    <Dialog title={t("freeze.done", { name })} onClose={onClose}>
      <Notice tone="danger" isNews title={t("freeze.doneBody", { name })}>
        <StoppedAccounts accounts={accounts} />
      </Notice>
      <div className="actions">
        <Button onClick={onClose} autoFocus>
          {words("close")}
        </Button>
      </div>
    </Dialog>
  );
}
