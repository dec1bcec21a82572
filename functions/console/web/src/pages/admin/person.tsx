// One person: who they are, what an administrator can do, where they are signed in, their trading accounts, their API
// keys, their trail.

import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Fragment } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import { Failure } from "../../api/failure.ts";
import { useList } from "../../api/lists.ts";
import { Loaded } from "../../components/loaded.tsx";
import { Pill } from "../../components/pill.tsx";
import { EmptyState, Skeleton } from "../../components/states.tsx";
import { Tabs } from "../../components/tabs.tsx";
import { Time } from "../../components/time.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { EventTable } from "../events/event-table.tsx";
import type { AuditEvent } from "../events/types.ts";
import { AdminPage } from "./admin-only.tsx";
import { Deeds } from "./person/deeds.tsx";
import { KeyTable, SessionTable } from "./person/lists.tsx";
import { TradingTable } from "./person/trading.tsx";
import "../../styles/admin.css";
import "../../styles/events.css";

type Person = Schemas["User"];

/** The page of a person. */
export default function PersonPage() {
  const title = useText(core)("nav.people");
  const { id = "" } = useParams();
  return (
    <AdminPage title={title}>
      <Found key={id} id={id} />
    </AdminPage>
  );
}

function Found({ id }: { id: string }) {
  const t = useText(admin);
  const read = () => client.get("/v1/admin/users/{id}", { params: { id } });
  const query = useQuery({ queryKey: ["person", id], queryFn: read, retry: false });
  const isMissing = query.error && Failure.of(query.error).status === 404;
  return (
    <>
      <p>
        <Link to="/admin/people">{t("person.back")}</Link>
      </p>
      {isMissing ? (
        <EmptyState title={t("nothing")}>{t("person.missing")}</EmptyState>
      ) : (
        <Loaded query={query} data={query.data} shape={<Skeleton cards={2} />}>
          {(person) => <About person={person} />}
        </Loaded>
      )}
    </>
  );
}

function About({ person }: { person: Person }) {
  const t = useText(admin);
  const [search, setSearch] = useSearchParams();
  const { name, user_id: id } = person;
  const tabs = [
    { key: "overview", title: t("tab.overview"), panel: () => <Overview person={person} /> },
    { key: "sessions", title: t("tab.sessions"), panel: () => <SessionTable id={id} name={name} /> },
    { key: "trading", title: t("tab.trading"), panel: () => <TradingTable id={id} name={name} /> },
    { key: "keys", title: t("tab.keys"), panel: () => <KeyTable id={id} name={name} /> },
    { key: "activity", title: t("tab.activity"), panel: () => <Trail id={id} /> },
  ];
  return (
    <>
      <div className="row">
        <h2 className="lead">{name}</h2>
        {person.status === "disabled" && <Pill icon="pause">{t("people.disabled")}</Pill>}
      </div>
      <Tabs
        label={t("person.tabs", { name })}
        tabs={tabs}
        selected={search.get("tab") ?? "overview"}
        onSelect={(tab) => setSearch(tab === "overview" ? {} : { tab }, { replace: true })}
      />
    </>
  );
}

function PasswordEnd({ at }: { at: string | null | undefined }) {
  const t = useText(admin);
  return at ? <Time value={at} /> : t("fact.neverExpires");
}

function Overview({ person }: { person: Person }) {
  const t = useText(admin);
  const none = <span className="muted">{t("fact.none")}</span>;
  const confirmed = t(person.email_verified ? "fact.confirmed" : "fact.unconfirmed");
  const facts: [string, ReactNode][] = [
    [t("fact.email"), person.email ? `${person.email} · ${confirmed}` : none],
    [t("fact.username"), person.username ?? none],
    [t("fact.phone"), person.phone ?? none],
    [t("fact.roles"), person.roles.join(", ") || none],
    [t("people.factor"), t(person.mfa_enabled ? "people.yes" : "people.no")],
    [t("fact.lastLogin"), <Time key="at" value={person.last_login_at} />],
    [t("fact.created"), <Time key="at" value={person.created_at} as="date" />],
    [t("fact.password"), person.passwordless ? none : <PasswordEnd key="at" at={person.password_expires_at} />],
    [
      t("fact.id"),
      <span key="id" className="mono">
        {person.user_id}
      </span>,
    ],
  ];
  return (
    <div className="stack-loose">
      <dl className="facts">
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
      <Deeds person={person} />
    </div>
  );
}

function Trail({ id }: { id: string }) {
  const t = useText(admin);
  const query = useList<AuditEvent>(["audit-of", id], (cursor) =>
    client.get("/v1/admin/audit", { query: { user_id: id, cursor } }),
  );
  return <EventTable query={query} isOwn={false} isOfOne empty={t("activity.empty")} />;
}
