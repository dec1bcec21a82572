// The administrators' kill switch for everybody: what stands, who froze, why and until when, and the switch.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Card } from "../../../components/card.tsx";
import { Confirm } from "../../../components/confirm.tsx";
import { Loaded } from "../../../components/loaded.tsx";
import { Notice } from "../../../components/states.tsx";
import { clockTime, useNow } from "../../../components/time.tsx";
import { type Freeze, tradingChanged } from "../../../frame/trading-state.ts";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { core } from "../../../messages/core/index.ts";
import { client } from "../../../session/client.ts";
import { PersonLink } from "../../events/person-link.tsx";
import { FreezeFields, freezeIn } from "../freeze-fields.tsx";

/** The card, which is read anew every minute. */
export function EverybodyFreeze() {
  const t = useText(admin);
  const [asked, ask] = useState<"freeze" | "lift">();
  const read = () => client.get("/v1/admin/freeze");
  const query = useQuery({ queryKey: ["everybody"], queryFn: read, refetchInterval: 60_000 });
  const isFrozen = query.data?.status === "frozen";
  const close = () => ask(undefined);
  const freeze = <Button onClick={() => ask("freeze")}>{t("everybody.freeze")}</Button>;
  const lift = <Button onClick={() => ask("lift")}>{t("freeze.lift")}</Button>;
  return (
    <Card title={t("everybody.title")} aside={query.data && (isFrozen ? lift : freeze)}>
      <Loaded query={query} data={query.data}>
        {({ freeze: standing }) => (standing ? <Standing freeze={standing} /> : <p>{t("everybody.open")}</p>)}
      </Loaded>
      {asked === "freeze" && <FreezeDialog onClose={close} />}
      {asked === "lift" && <LiftDialog onClose={close} />}
    </Card>
  );
}

function Standing({ freeze: { actor, since, until, reason } }: { freeze: Freeze }) {
  const t = useText(admin);
  const words = useText(core);
  const present = useNow();
  const time = (at: string) => ({ time: clockTime(Date.parse(at), present) });
  return (
    <Notice tone="danger" title={t("frozen.everybody", time(since))}>
      <p data-from-service="">{reason}</p>
      <p className="small">
        {t("everybody.by")} <Actor actor={actor} /> {until && words("trading.until", time(until))}
      </p>
    </Notice>
  );
}

/** An administrator by name; somebody at the command line as the trail has them. */
function Actor({ actor }: { actor: string }) {
  const [kind, id = ""] = actor.split(":");
  return kind === "admin" ? <PersonLink id={id} /> : <span data-from-service="">{actor}</span>;
}

function FreezeDialog({ onClose }: { onClose: () => void }) {
  const t = useText(admin);
  const queries = useQueryClient();
  const freeze = async (data: FormData) => {
    await client.post("/v1/admin/freeze", { body: freezeIn(data) });
    tradingChanged(queries);
    onClose();
  };
  return (
    <Confirm
      title={t("everybody.freezeTitle")}
      body={t("everybody.freezeAbout")}
      verb={t("everybody.freezeVerb")}
      isDangerous
      onConfirm={freeze}
      onClose={onClose}
      fields={(form) => <FreezeFields form={form} hint={t("everybody.reasonHint")} />}
    />
  );
}

function LiftDialog({ onClose }: { onClose: () => void }) {
  const t = useText(admin);
  const queries = useQueryClient();
  const lift = async () => {
    await client.post("/v1/admin/unfreeze");
    tradingChanged(queries);
    onClose();
  };
  return (
    <Confirm
      title={t("everybody.liftTitle")}
      body={t("everybody.liftAbout")}
      verb={t("freeze.lift")}
      onConfirm={lift}
      onClose={onClose}
    />
  );
}
