// The own sessions: which devices are signed in, and the end of any of them.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useList } from "../api/lists.ts";
import { Button } from "../components/button.tsx";
import { Confirm } from "../components/confirm.tsx";
import { Loaded, LoadMore } from "../components/loaded.tsx";
import { Pill } from "../components/pill.tsx";
import { Notice } from "../components/states.tsx";
import { type Column, Table } from "../components/table.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { account } from "../messages/account/index.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client, type Schemas } from "../session/client.ts";
import { browserAndSystem } from "./device-name.ts";

type Session = Schemas["SessionItem"];

/** The cache key of the list. */
export const SESSIONS = ["sessions"] as const;

/** Reads the own sessions, page by page. */
export function useSessions() {
  return useList(SESSIONS, (cursor) => client.get("/v1/sessions", { query: { cursor } }));
}

/** Returns what to call the device of a session. */
export function useDeviceName(): (session: Pick<Session, "device_name" | "user_agent">) => string {
  const t = useText(account);
  return ({ device_name, user_agent }) => {
    const { browser, system } = browserAndSystem(user_agent);
    const named = browser && system ? t("sessions.on", { browser, system }) : (browser ?? system);
    return device_name || named || t("sessions.unknown");
  };
}

/** The list, and what can be ended. */
export default function Sessions() {
  const t = useText(account);
  const query = useSessions();
  const [ending, end] = useState<Session | "others">();
  const hasOthers = query.items?.some((session) => !session.current) ?? false;
  return (
    <Page title={t("sessions.title")}>
      <div className="row-between">
        <p className="muted reading">{t("sessions.about")}</p>
        {hasOthers && <Button onClick={() => end("others")}>{t("sessions.endAll")}</Button>}
      </div>
      <Loaded query={query} data={query.items}>
        {(sessions) => (
          <>
            <SessionTable sessions={sessions} onEnd={end} />
            {!hasOthers && !query.hasNextPage && <Notice tone="success">{t("sessions.onlyThis")}</Notice>}
            <LoadMore query={query} />
          </>
        )}
      </Loaded>
      {ending && <EndSession what={ending} onClose={() => end(undefined)} />}
    </Page>
  );
}

function SessionTable({ sessions, onEnd }: { sessions: readonly Session[]; onEnd: (session: Session) => void }) {
  const t = useText(account);
  const c = useText(core);
  const deviceName = useDeviceName();
  const columns: Column<Session>[] = [
    {
      key: "device",
      header: t("sessions.device"),
      cell: (session) => (
        <span className="row" title={session.user_agent ?? undefined}>
          {deviceName(session)}
          {session.current && <Pill tone="accent">{c("thisDevice")}</Pill>}
        </span>
      ),
    },
    { key: "address", header: t("sessions.address"), cell: (session) => session.ip ?? "—" },
    { key: "began", header: t("sessions.began"), cell: (session) => <Time value={session.created_at} /> },
    { key: "seen", header: t("sessions.seen"), cell: (session) => <Time value={session.last_seen_at} /> },
    {
      key: "actions",
      header: t("sessions.actions"),
      kind: "actions",
      cell: (session) =>
        session.current ? null : (
          <div className="row">
            <Button
              small
              aria-label={t("sessions.endOne", { device: deviceName(session) })}
              onClick={() => onEnd(session)}
            >
              {t("sessions.end")}
            </Button>
          </div>
        ),
    },
  ];
  return (
    <Table caption={t("sessions.title")} columns={columns} rows={sessions} rowKey={(session) => session.session_id} />
  );
}

function EndSession({ what, onClose }: { what: Session | "others"; onClose: () => void }) {
  const t = useText(account);
  const deviceName = useDeviceName();
  const queries = useQueryClient();
  const end = async () => {
    if (what === "others") await client.delete("/v1/sessions");
    else await client.delete("/v1/sessions/{id}", { params: { id: what.session_id } });
    onClose();
    await queries.invalidateQueries({ queryKey: SESSIONS });
  };
  const [title, body, verb] =
    what === "others"
      ? [t("sessions.endAllTitle"), t("sessions.endAllBody"), t("sessions.endAllConfirm")]
      : [t("sessions.endTitle", { device: deviceName(what) }), t("sessions.endBody"), t("sessions.endConfirm")];
  return <Confirm title={title} body={body} verb={verb} onConfirm={end} onClose={onClose} />;
}
