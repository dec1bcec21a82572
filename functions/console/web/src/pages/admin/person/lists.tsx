// Where a person is signed in, and the API keys of a person.
import { useQuery } from "@tanstack/react-query";
import { useList } from "../../../api/lists.ts";
import { Loaded, LoadMore } from "../../../components/loaded.tsx";
import { EmptyState } from "../../../components/states.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { Time } from "../../../components/time.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { client, type Schemas } from "../../../session/client.ts";
import { program, useEventText } from "../../events/words.ts";
import { useScopeWords } from "../../scope-words.ts";

type Session = Schemas["SessionItem"];
type ApiKey = Schemas["ApiKeyItem"];

/** The sessions of a person. */
export function SessionTable({ id, name }: { id: string; name: string }) {
  const t = useText(admin);
  const words = useEventText();
  const query = useList<Session>(["sessions-of", id], (cursor) =>
    client.get("/v1/admin/users/{id}/sessions", { params: { id }, query: { cursor } }),
  );
  const columns: Column<Session>[] = [
    {
      key: "device",
      header: t("sessions.device"),
      cell: (session) => session.device_name || program(words, session) || t("sessions.unknown"),
    },
    { key: "address", header: t("sessions.address"), cell: ({ ip }) => ip ?? "" },
    { key: "since", header: t("sessions.since"), cell: ({ created_at }) => <Time value={created_at} />, kind: "end" },
    { key: "seen", header: t("sessions.seen"), cell: ({ last_seen_at }) => <Time value={last_seen_at} />, kind: "end" },
  ];
  return (
    <Loaded query={query} data={query.items}>
      {(items) =>
        items.length === 0 && !query.hasNextPage ? (
          <EmptyState title={t("nothing")}>{t("sessions.empty", { name })}</EmptyState>
        ) : (
          <div className="stack">
            <Table
              caption={t("sessions.caption", { name })}
              columns={columns}
              rows={items}
              rowKey={({ session_id }) => session_id}
            />
            <LoadMore query={query} />
          </div>
        )
      }
    </Loaded>
  );
}

/** The API keys of a person, as their owner sees them: without their secrets. */
export function KeyTable({ id, name }: { id: string; name: string }) {
  const t = useText(admin);
  const words = useScopeWords();
  const read = () => client.get("/v1/admin/users/{id}/api-keys", { params: { id } });
  const query = useQuery({ queryKey: ["keys-of", id], queryFn: read });
  const columns: Column<ApiKey>[] = [
    { key: "name", header: t("keys.name"), cell: (key) => key.name },
    { key: "prefix", header: t("keys.prefix"), cell: ({ prefix }) => <span className="mono">{prefix}</span> },
    {
      key: "scopes",
      header: t("keys.scopes"),
      cell: ({ scopes }) => (scopes.length > 0 ? scopes.map(words).join(", ") : t("keys.all")),
    },
    { key: "used", header: t("keys.used"), cell: ({ last_used_at }) => <Time value={last_used_at} />, kind: "end" },
    {
      key: "expires",
      header: t("keys.expires"),
      cell: ({ expires_at }) => (expires_at ? <Time value={expires_at} /> : t("keys.noEnd")),
      kind: "end",
    },
  ];
  return (
    <Loaded query={query} data={query.data?.items}>
      {(items) =>
        items.length === 0 ? (
          <EmptyState title={t("nothing")}>{t("keys.empty", { name })}</EmptyState>
        ) : (
          <Table caption={t("keys.caption", { name })} columns={columns} rows={items} rowKey={({ key_id }) => key_id} />
        )
      }
    </Loaded>
  );
}
