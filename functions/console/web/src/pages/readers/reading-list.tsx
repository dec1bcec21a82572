// The readings of one service, one by one.
import { useState } from "react";
import { Button, ButtonLink } from "../../components/button.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { absolute } from "../../components/time.tsx";
import { useAccounts } from "../../frame/trading-state.ts";
import { useText } from "../../messages/catalogue.ts";
import { readers as texts } from "../../messages/readers/index.ts";
import { accountName } from "../trading-accounts/state.ts";
import type { Reader, Reading } from "./readings.ts";

const AT_ONCE = 50;

/** Time, purpose, account and request of each reading, the newest first. */
export function ReadingList({ reader }: { reader: Reader }) {
  const t = useText(texts);
  const accounts = useAccounts().data ?? [];
  const [shown, show] = useState(AT_ONCE);
  const { service, readings } = reader;
  const nameOf = (id: string | null | undefined) => {
    const account = accounts.find(({ account_id }) => account_id === id);
    return account ? accountName(account) : <span className="mono">{id}</span>;
  };
  const columns: Column<Reading>[] = [
    { key: "time", header: t("column.time"), cell: ({ at }) => <time dateTime={at}>{absolute(Date.parse(at))}</time> },
    { key: "purpose", header: t("column.purpose"), cell: ({ purpose }) => purpose ?? t("noPurpose") },
    { key: "account", header: t("column.account"), cell: ({ target }) => nameOf(target) },
    {
      key: "request",
      header: t("column.request"),
      cell: ({ request_id }) => <span className="mono">{request_id}</span>,
    },
  ];
  return (
    <>
      <div className="row-between">
        <p className="lead">{t("detailsLead", { service, count: readings.length })}</p>
        <ButtonLink to="/readers">{t("all")}</ButtonLink>
      </div>
      <Table
        caption={t("detailsCaption", { service })}
        columns={columns}
        rows={readings.slice(0, shown)}
        rowKey={({ event_id }) => event_id}
      />
      {shown < readings.length && (
        <div className="actions actions-start">
          <Button onClick={() => show(shown + AT_ONCE)}>{t("showMore")}</Button>
        </div>
      )}
    </>
  );
}
