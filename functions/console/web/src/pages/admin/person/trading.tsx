// The state of a person's trading: whether it is frozen, and each trading account without what it is known by at the broker.
import { useQuery } from "@tanstack/react-query";
import { Loaded } from "../../../components/loaded.tsx";
import { Pill } from "../../../components/pill.tsx";
import { EmptyState } from "../../../components/states.tsx";
import { type Column, Table } from "../../../components/table.tsx";
import { Time } from "../../../components/time.tsx";
import { brokerName } from "../../../frame/session-clock.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { trading } from "../../../messages/trading/index.ts";
import { client, type Schemas } from "../../../session/client.ts";
import { accountName, STATUS_LOOK } from "../../trading-accounts/state.ts";
import { PersonFreeze } from "./freezing.tsx";

type Account = Schemas["UserTradingAccount"];

/** The trading accounts of a person. */
export function TradingTable({ id, name }: { id: string; name: string }) {
  const t = useText(admin);
  const read = () => client.get("/v1/admin/users/{id}/trading-accounts", { params: { id } });
  const query = useQuery({ queryKey: ["trading-of", id], queryFn: read });
  return (
    <Loaded query={query} data={query.data}>
      {({ freezes, accounts }) => (
        <div className="stack">
          <PersonFreeze id={id} name={name} freezes={freezes} />
          {accounts.length === 0 ? (
            <EmptyState title={t("nothing")}>{t("accounts.empty", { name })}</EmptyState>
          ) : (
            <Accounts name={name} accounts={accounts} />
          )}
        </div>
      )}
    </Loaded>
  );
}

function Accounts({ name, accounts }: { name: string; accounts: readonly Account[] }) {
  const t = useText(admin);
  const words = useText(trading);
  const columns: Column<Account>[] = [
    { key: "name", header: t("accounts.name"), cell: accountName },
    { key: "broker", header: t("accounts.broker"), cell: ({ broker }) => brokerName(broker) },
    {
      key: "status",
      header: t("accounts.status"),
      cell: ({ status }) => <Pill {...STATUS_LOOK[status]}>{words(`status.${status}`)}</Pill>,
    },
    {
      key: "session",
      header: t("accounts.session"),
      cell: ({ session_expires_at: end }) =>
        end ? <Time value={end} /> : <span className="muted">{t("accounts.noSession")}</span>,
      kind: "end",
    },
    {
      key: "verified",
      header: t("accounts.verified"),
      cell: ({ verified_at }) => <Time value={verified_at} />,
      kind: "end",
    },
    {
      key: "linked",
      header: t("accounts.linked"),
      cell: ({ created_at }) => <Time value={created_at} as="date" />,
      kind: "end",
    },
  ];
  return (
    <Table
      caption={t("accounts.caption", { name })}
      columns={columns}
      rows={accounts}
      rowKey={({ account_id }) => account_id}
    />
  );
}
