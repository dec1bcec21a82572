// The trail of all accounts, with its filters in the address, and as a file.
import { useList } from "../../api/lists.ts";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client } from "../../session/client.ts";
import { EventTable } from "../events/event-table.tsx";
import { FilterRow, useFilters } from "../events/filters.tsx";
import type { AuditEvent } from "../events/types.ts";
import { AdminPage } from "./admin-only.tsx";
import { ExportButtons } from "./audit/export-buttons.tsx";

/** The trail. */
export default function AuditPage() {
  const title = useText(core)("nav.trail");
  return (
    <AdminPage title={title}>
      <Trail />
    </AdminPage>
  );
}

function Trail() {
  const t = useText(admin);
  const filters = useFilters();
  const { query: wanted } = filters;
  const query = useList<AuditEvent>(["all-audit", wanted], (cursor) =>
    client.get("/v1/admin/audit", { query: { ...wanted, cursor } }),
  );
  return (
    <>
      <p className="muted reading">{t("audit.about")}</p>
      <FilterRow filters={filters} />
      <ExportButtons key={JSON.stringify(wanted)} wanted={wanted} />
      <EventTable query={query} isOwn={false} empty={t("audit.empty")} />
    </>
  );
}
