// A list of events, each with its particulars behind a click.
import { Fragment, useEffect, useState } from "react";
import type { useList } from "../../api/lists.ts";
import { Dialog } from "../../components/dialog.tsx";
import { Loaded, LoadMore } from "../../components/loaded.tsx";
import { Pill } from "../../components/pill.tsx";
import { EmptyState, Skeleton } from "../../components/states.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { absolute, Time } from "../../components/time.tsx";
import type { TradingAccount } from "../../frame/trading-state.ts";
import { PersonLink } from "./person-link.tsx";
import type { AuditEvent } from "./types.ts";
import { aboutWhat, list, program, useEventText, whatHappened, whoDidIt } from "./words.ts";
import "../../styles/events.css";

/** Pages without a hit that are read on before somebody has to ask for more. */
const MOST_EMPTY_PAGES = 10;

interface EventTableProps {
  query: ReturnType<typeof useList<AuditEvent>>;
  accounts?: readonly TradingAccount[];
  /** Whether the trail is the reader's own; otherwise each event says whose it is. */
  isOwn: boolean;
  /** Whether all events are of one account that the page is about. */
  isOfOne?: boolean;
  /** What an empty list says. */
  empty: string;
}

/** The events that were found. */
export function EventTable({ query, accounts = [], isOwn, isOfOne, empty }: EventTableProps) {
  const t = useEventText();
  const [opened, open] = useState<AuditEvent>();
  useReadingOn(query);
  return (
    <Loaded query={query} data={query.items} shape={<Skeleton lines={8} />}>
      {(items) =>
        items.length === 0 && !query.hasNextPage ? (
          <EmptyState title={t("empty.title")}>{empty}</EmptyState>
        ) : (
          <>
            <Table
              caption={t("caption")}
              columns={columns(t, accounts, isOwn, isOwn || isOfOne === true)}
              rows={items}
              rowKey={(event) => event.event_id}
              onOpen={open}
            />
            <LoadMore query={query} />
            {opened && <Particulars event={opened} isOwn={isOwn} onClose={() => open(undefined)} />}
          </>
        )
      }
    </Loaded>
  );
}

/** A page of a filtered list may be empty and not the last. */
function useReadingOn(query: EventTableProps["query"]): void {
  const { items, hasNextPage, isFetching, fetchNextPage, data } = query;
  const read = data?.pages.length ?? 0;
  const isGoingOn = items?.length === 0 && hasNextPage && !isFetching && read < MOST_EMPTY_PAGES;
  useEffect(() => {
    if (isGoingOn) void fetchNextPage();
  }, [isGoingOn, fetchNextPage]);
}

function columns(
  t: ReturnType<typeof useEventText>,
  accounts: readonly TradingAccount[],
  isOwn: boolean,
  isOfOne: boolean,
): Column<AuditEvent>[] {
  const all: (Column<AuditEvent> | false)[] = [
    { key: "what", header: t("column.what"), cell: (event) => <What event={event} accounts={accounts} /> },
    !isOfOne && {
      key: "person",
      header: t("column.person"),
      cell: ({ user_id }) => <PersonLink id={user_id} />,
    },
    { key: "who", header: t("column.who"), cell: ({ actor }) => whoDidIt(t, actor, isOwn) },
    { key: "where", header: t("column.where"), cell: (event) => where(t, event) },
    { key: "when", header: t("column.when"), cell: ({ at }) => <Time value={at} />, kind: "end" },
  ];
  return all.filter((column) => column !== false);
}

function where(t: ReturnType<typeof useEventText>, event: AuditEvent) {
  const parts = [program(t, event), event.ip];
  return <span className="muted">{parts.filter(Boolean).join(" · ")}</span>;
}

function What({ event, accounts }: { event: AuditEvent; accounts: readonly TradingAccount[] }) {
  const t = useEventText();
  const about = aboutWhat(t, event, accounts);
  return (
    <span className="event">
      <span>
        {whatHappened(t, event.type)}
        {event.outcome === "refused" && (
          <>
            {" "}
            <Pill tone="warning">{t("refused")}</Pill>
          </>
        )}
      </span>
      {about && <span className="event-about">{about}</span>}
    </span>
  );
}

function Particulars({ event, isOwn, onClose }: { event: AuditEvent; isOwn: boolean; onClose: () => void }) {
  const t = useEventText();
  const { details } = event;
  const reason = details?.reason;
  const facts: [string, string | null | undefined][] = [
    [t("fact.at"), `${absolute(Date.parse(event.at))} (${event.at})`],
    [t("fact.actor"), `${whoDidIt(t, event.actor, isOwn)} (${event.actor})`],
    [t("fact.outcome"), event.outcome === "refused" ? t("outcome.refused") : t("outcome.success")],
    [t("fact.service"), event.service],
    [t("fact.purpose"), event.purpose],
    [t("fact.keyName"), details?.key_name],
    [t("fact.before"), details?.roles_before && list(t, details.roles_before)],
    [t("fact.after"), details?.roles_after && list(t, details.roles_after)],
    [t("fact.scopes"), details?.scopes?.join(", ")],
    [t("fact.refusedRequest"), details?.request],
    [t("fact.reason"), reason === "forbidden" || reason === "last_admin" ? t(`reason.${reason}`) : reason],
    [t("fact.ip"), event.ip],
    [t("fact.agent"), event.user_agent],
    [t("fact.target"), event.target],
    [t("fact.user"), isOwn ? undefined : event.user_id],
    [t("fact.session"), event.session_id],
    [t("fact.request"), event.request_id],
    [t("fact.event"), event.event_id],
    [t("fact.type"), event.type],
  ];
  return (
    <Dialog title={whatHappened(t, event.type)} onClose={onClose} isWide>
      <dl className="facts">
        {facts.map(
          ([name, value]) =>
            value && (
              <Fragment key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </Fragment>
            ),
        )}
      </dl>
    </Dialog>
  );
}
