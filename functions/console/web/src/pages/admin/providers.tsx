// Providers as administrators see them: what is counted, and the marks that override it.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { Button } from "../../components/button.tsx";
import { Confirm } from "../../components/confirm.tsx";
import { Field, TextField } from "../../components/field.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { Health, type Provider, useProviders } from "../../components/provider-strip.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { clockTime, Time, useNow } from "../../components/time.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { trading } from "../../messages/trading/index.ts";
import { client } from "../../session/client.ts";
import { AdminPage } from "./admin-only.tsx";
import "../../styles/trading.css";
import "../../styles/events.css";

/** The table of providers. */
export default function ProvidersPage() {
  const title = useText(core)("nav.providers");
  return (
    <AdminPage title={title}>
      <Providers />
    </AdminPage>
  );
}

type Doing = { is: "mark" | "unmark"; provider: Provider };

function isMarked(provider: Provider): boolean {
  return provider.marked_until !== undefined;
}

function Providers() {
  const t = useText(admin);
  const query = useProviders();
  const [doing, become] = useState<Doing>();
  const columns: Column<Provider>[] = [
    { key: "name", header: t("providers.name"), cell: ({ name }) => brokerName(name) },
    { key: "status", header: t("providers.status"), cell: ({ status }) => <Health status={status} /> },
    {
      key: "check",
      header: t("providers.check"),
      cell: ({ last_check }) =>
        last_check ? <Time value={last_check} /> : <span className="muted">{t("providers.noCall")}</span>,
    },
    {
      key: "time",
      header: t("providers.time"),
      cell: ({ response_time_ms: ms }) => time(ms, t) ?? <span className="muted">{t("providers.none")}</span>,
      kind: "end",
    },
    {
      key: "failures",
      header: t("providers.failures"),
      cell: ({ consecutive_failures }) => consecutive_failures,
      kind: "end",
    },
    { key: "mark", header: t("providers.mark"), cell: (provider) => <Mark provider={provider} /> },
    {
      key: "actions",
      header: t("providers.deeds"),
      cell: (provider) => <Actions provider={provider} onDo={(is) => become({ is, provider })} />,
      kind: "actions",
    },
  ];
  const close = () => become(undefined);
  return (
    <>
      <p className="muted reading">{t("providers.about")}</p>
      <Loaded query={query} data={query.data?.items}>
        {(items) => (
          <Table caption={t("providers.caption")} columns={columns} rows={items} rowKey={({ name }) => name} />
        )}
      </Loaded>
      {doing?.is === "mark" && <MarkDialog provider={doing.provider} onClose={close} />}
      {doing?.is === "unmark" && <UnmarkDialog provider={doing.provider} onClose={close} />}
    </>
  );
}

type Words = ReturnType<typeof useText<keyof (typeof admin)["english"]>>;

function time(ms: number | null | undefined, t: Words): string | undefined {
  return typeof ms === "number" ? t("providers.ms", { ms }) : undefined;
}

function Mark({ provider }: { provider: Provider }) {
  const t = useText(admin);
  const present = useNow();
  if (!isMarked(provider)) return <span className="muted">{t("providers.none")}</span>;
  const { marked_until: end, mark_reason: reason } = provider;
  const until = end ? t("providers.until", { time: clockTime(Date.parse(end), present) }) : t("providers.untilRemoved");
  return (
    <span className="event">
      {reason && <span>{reason}</span>}
      <span className="event-about">{until}</span>
    </span>
  );
}

function Actions({ provider, onDo }: { provider: Provider; onDo: (is: Doing["is"]) => void }) {
  const t = useText(admin);
  return (
    <fieldset className="row">
      <legend className="visually-hidden">{t("providers.actions", { name: brokerName(provider.name) })}</legend>
      <Button small onClick={() => onDo("mark")}>
        {t(isMarked(provider) ? "providers.change" : "providers.set")}
      </Button>
      {isMarked(provider) && (
        <Button small onClick={() => onDo("unmark")}>
          {t("providers.remove")}
        </Button>
      )}
      <Link
        to={`/admin/audit?target=${encodeURIComponent(provider.name)}`}
        className="small"
        aria-label={t("providers.historyOf", { name: brokerName(provider.name) })}
      >
        {t("providers.history")}
      </Link>
    </fieldset>
  );
}

const HEALTHS = ["unhealthy", "degraded", "healthy"] as const;
const TERMS = ["3600", "14400", "86400", "604800", "forever"] as const;

interface DialogProps {
  provider: Provider;
  onClose: () => void;
}

function MarkDialog({ provider, onClose }: DialogProps) {
  const t = useText(admin);
  const words = useText(trading);
  const queries = useQueryClient();
  const { name } = provider;
  const mark = async (data: FormData) => {
    const status = HEALTHS.find((each) => each === data.get("status")) ?? "unhealthy";
    const term = Number(data.get("term"));
    const body = { status, expires_in: term || null, reason: String(data.get("reason")).trim() || null };
    await client.put("/v1/admin/providers/{name}/mark", { params: { name }, body });
    await queries.invalidateQueries();
    onClose();
  };
  return (
    <Confirm
      title={t("mark.title", { name: brokerName(name) })}
      body={t("mark.about")}
      verb={t("mark.save")}
      onConfirm={mark}
      onClose={onClose}
      fields={(form) => (
        <>
          <Field label={t("mark.status")} error={form.error("/status")}>
            {(control) => (
              <select {...control} name="status">
                {HEALTHS.map((status) => (
                  <option key={status} value={status}>
                    {words(`providers.${status}`)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t("mark.for")} error={form.error("/expires_in")}>
            {(control) => (
              <select {...control} name="term">
                {TERMS.map((term) => (
                  <option key={term} value={term === "forever" ? "" : term}>
                    {t(`mark.${term}`)}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <TextField
            label={t("mark.reason")}
            hint={t("mark.reasonHint")}
            name="reason"
            maxLength={200}
            autoComplete="off"
            isOptional
            error={form.error("/reason")}
          />
        </>
      )}
    />
  );
}

function UnmarkDialog({ provider, onClose }: DialogProps) {
  const t = useText(admin);
  const queries = useQueryClient();
  const name = brokerName(provider.name);
  const unmark = async () => {
    await client.delete("/v1/admin/providers/{name}/mark", { params: { name: provider.name } });
    await queries.invalidateQueries();
    onClose();
  };
  return (
    <Confirm
      title={t("unmark.title", { name })}
      body={t("unmark.body", { name })}
      verb={t("providers.remove")}
      onConfirm={unmark}
      onClose={onClose}
    />
  );
}
