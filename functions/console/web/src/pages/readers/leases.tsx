// Who was given one's keys and may be given the same again, until when.
import { useQueries } from "@tanstack/react-query";
import { Card } from "../../components/card.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { Skeleton } from "../../components/states.tsx";
import { clockTime, useNow } from "../../components/time.tsx";
import { type TradingAccount, useAccounts } from "../../frame/trading-state.ts";
import { useText } from "../../messages/catalogue.ts";
import { readers as texts } from "../../messages/readers/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { accountName } from "../trading-accounts/state.ts";

/** A lease, with the name of its account. */
type Lease = Schemas["LeaseResponse"] & { account: string };

/** The leases of all accounts, each as a sentence. Whoever has no account at a broker sees nothing. */
export function Leases() {
  const t = useText(texts);
  const accounts = useAccounts();
  if (accounts.data?.length === 0) return null;
  return (
    <Card title={t("leases.title")} about={t("leases.about")}>
      <Loaded query={accounts} data={accounts.data} shape={<Skeleton lines={2} />}>
        {(items) => <OfAccounts accounts={items} />}
      </Loaded>
    </Card>
  );
}

function OfAccounts({ accounts }: { accounts: readonly TradingAccount[] }) {
  const t = useText(texts);
  const present = useNow();
  const query = useLeases(accounts);
  return (
    <Loaded query={query} data={query.data} shape={<Skeleton lines={2} />}>
      {(all) => {
        // One that ends while it is shown goes by itself.
        const leases = all.filter(({ expires_at }) => Date.parse(expires_at) > present);
        if (leases.length === 0) return <p>{t("leases.none")}</p>;
        return (
          <ul className="stack-tight">
            {leases.map((lease) => (
              <LeaseItem key={lease.lease_id} lease={lease} present={present} />
            ))}
          </ul>
        );
      }}
    </Loaded>
  );
}

function LeaseItem({ lease, present }: { lease: Lease; present: number }) {
  const t = useText(texts);
  const { service, account, purpose, kind, begun_at: begun, expires_at: end } = lease;
  const time = (at: string) => clockTime(Date.parse(at), present);
  return (
    <li>
      <p>{t("leases.until", { service, account, time: time(end) })}</p>
      <p className="small muted">
        {t(`leases.${kind}`)} · <span data-from-service="">{purpose === "unspecified" ? t("noPurpose") : purpose}</span>{" "}
        · {t("leases.since", { time: time(begun) })}
      </p>
    </li>
  );
}

/** Asks for those of each account, once a minute; nothing is shown before all have answered. */
function useLeases(accounts: readonly TradingAccount[]) {
  return useQueries({
    queries: accounts.map(({ account_id: id }) => ({
      queryKey: ["leases", id],
      queryFn: () => client.get("/v1/trading-accounts/{id}/leases", { params: { id } }),
      refetchInterval: 60_000,
    })),
    combine: (queries) => {
      const answers = queries.flatMap(({ data }, index) => {
        const account = accounts[index];
        return data && account ? [data.map((lease): Lease => ({ ...lease, account: accountName(account) }))] : [];
      });
      return {
        data: answers.length === accounts.length ? answers.flat() : undefined,
        error: queries.find(({ error }) => error)?.error,
        refetch: () => queries.map(({ refetch }) => refetch()),
      };
    },
  });
}
