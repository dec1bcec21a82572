// The own audit trail, with its filters in the address.
import { useList } from "../api/lists.ts";
import { TrailIntegrity } from "../components/trail-integrity.tsx";
import { Page } from "../frame/page.tsx";
import { useAccounts } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { EventTable } from "./events/event-table.tsx";
import { FilterRow, useFilters } from "./events/filters.tsx";
import type { AuditEvent } from "./events/types.ts";
import { useEventText } from "./events/words.ts";

/** Everything that happened to the reader's account. */
export default function Activity() {
  const t = useEventText();
  const title = useText(core)("nav.activity");
  const filters = useFilters();
  const { user_id: _, ...own } = filters.query;
  const accounts = useAccounts().data ?? [];
  const query = useList<AuditEvent>(["audit", own], (cursor) => client.get("/v1/audit", { query: { ...own, cursor } }));
  return (
    <Page title={title}>
      <p className="muted reading">{t("about.own")}</p>
      <TrailIntegrity />
      <FilterRow filters={filters} accounts={accounts} />
      <EventTable query={query} accounts={accounts} isOwn empty={t(filters.isAny ? "empty.filtered" : "empty.own")} />
    </Page>
  );
}
