// The table of people: found as one types, filtered by the address of the page, moved through by keyboard.
import { useEffect, useRef, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { useList } from "../../api/lists.ts";
import { Button } from "../../components/button.tsx";
import { Field, TextField } from "../../components/field.tsx";
import { Loaded, LoadMore } from "../../components/loaded.tsx";
import { Pill } from "../../components/pill.tsx";
import { EmptyState, Skeleton } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Time } from "../../components/time.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { useTyped } from "../events/filters.tsx";
import { AdminPage } from "./admin-only.tsx";
import { AddPerson } from "./people/add-person.tsx";
import { KeyHelp, useKeys } from "./people/keys.tsx";
import { RoleList, useRoles } from "./roles.tsx";
import "../../styles/admin.css";
import "../../styles/events.css";

type Person = Schemas["User"];

/** The table with its filters. */
export default function People() {
  const title = useText(core)("nav.people");
  return (
    <AdminPage title={title}>
      <PeopleTable />
    </AdminPage>
  );
}

function PeopleTable() {
  const t = useText(admin);
  const go = useNavigate();
  const [params, setParams] = useSearchParams();
  const [isAdding, add] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const keys = useKeys(root);
  const value = (name: string) => params.get(name) ?? "";
  const set = (name: string, next: string) =>
    setParams(
      (before) => {
        if (next) before.set(name, next);
        else before.delete(name);
        return before;
      },
      { replace: true },
    );
  const status = value("status");
  const wanted = {
    search: value("search") || undefined,
    role: value("role") || undefined,
    status: status === "active" || status === "disabled" ? status : undefined,
  } as const;
  const query = useList<Person>(["people", wanted], (cursor) =>
    client.get("/v1/admin/users", { query: { ...wanted, cursor } }),
  );
  return (
    <div className="stack" ref={root}>
      <div className="people-bar">
        <PeopleFilters value={value} set={set} />
        <Button look="primary" icon="plus" onClick={() => add(true)}>
          {t("people.add")}
        </Button>
      </div>
      <Loaded query={query} data={query.items} shape={<Skeleton lines={8} />}>
        {(items) =>
          items.length === 0 && !query.hasNextPage ? (
            <EmptyState title={t("people.emptyTitle")}>{t("people.empty")}</EmptyState>
          ) : (
            <Table
              caption={t("people.caption")}
              columns={columns(t)}
              rows={items}
              rowKey={({ user_id }) => user_id}
              onOpen={({ user_id }) => go(`/admin/people/${user_id}`)}
            />
          )
        }
      </Loaded>
      <LoadMore query={query} />
      <Foot onKeys={keys.show} />
      {isAdding && <AddPerson onClose={() => add(false)} />}
      {keys.isShown && <KeyHelp onClose={keys.hide} />}
    </div>
  );
}

function Foot({ onKeys }: { onKeys: () => void }) {
  const t = useText(admin);
  return (
    <div className="row-between people-foot">
      <details className="disclosure">
        <summary>{t("people.rolesTitle")}</summary>
        <RoleList />
      </details>
      <Button small look="quiet" onClick={onKeys} aria-keyshortcuts="?">
        {t("people.keys")} <kbd>?</kbd>
      </Button>
    </div>
  );
}

interface FiltersProps {
  value: (name: string) => string;
  set: (name: string, next: string) => void;
}

function PeopleFilters({ value, set }: FiltersProps) {
  const t = useText(admin);
  const roles = useRoles().data ?? [];
  const [typed, type] = useTyped(value("search"), (next) => set("search", next));
  // Who begins to look for somebody types at once; on a phone that would cover the table with a keyboard.
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);
  return (
    <search className="people-filters">
      <TextField
        ref={field}
        label={t("people.search")}
        placeholder={t("people.searchHint")}
        type="search"
        data-search=""
        value={typed}
        autoComplete="off"
        spellCheck={false}
        aria-keyshortcuts="/"
        onChange={(event) => type(event.target.value)}
      />
      <Choice
        label={t("people.role")}
        value={value("role")}
        onChoose={(next) => set("role", next)}
        options={roles.map(({ role }) => [role, role])}
      />
      <Choice
        label={t("people.status")}
        value={value("status")}
        onChoose={(next) => set("status", next)}
        options={[
          ["active", t("people.active")],
          ["disabled", t("people.disabled")],
        ]}
      />
    </search>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  onChoose: (next: string) => void;
  options: readonly (readonly [string, string])[];
}

function Choice({ label, value, onChoose, options }: ChoiceProps) {
  const t = useText(admin);
  return (
    <Field label={label}>
      {(control) => (
        <select {...control} value={value} onChange={(event) => onChoose(event.target.value)}>
          <option value="">{t("people.any")}</option>
          {options.map(([key, text]) => (
            <option key={key} value={key}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function columns(t: ReturnType<typeof useText<keyof (typeof admin)["english"]>>): Column<Person>[] {
  return [
    {
      key: "name",
      header: t("people.name"),
      cell: (person) => (
        <span className="event">
          <span className="row">
            <Link to={`/admin/people/${person.user_id}`} onClick={(event) => event.stopPropagation()} tabIndex={-1}>
              {person.name}
            </Link>
            {person.status === "disabled" && <Pill>{t("people.disabled")}</Pill>}
          </span>
          <span className="event-about">
            {[person.email, person.username].filter(Boolean).join(" · ")}
            {person.email && !person.email_verified && <> · {t("people.unconfirmed")}</>}
          </span>
        </span>
      ),
    },
    { key: "roles", header: t("people.roles"), cell: ({ roles }) => roles.join(", ") },
    {
      key: "factor",
      header: t("people.factor"),
      cell: ({ mfa_enabled }) => (mfa_enabled ? t("people.yes") : <span className="muted">{t("people.no")}</span>),
    },
    { key: "seen", header: t("people.lastSeen"), cell: (person) => <Time value={person.last_login_at} />, kind: "end" },
    {
      key: "created",
      header: t("people.created"),
      cell: ({ created_at }) => <Time value={created_at} as="date" />,
      kind: "end",
    },
  ];
}
