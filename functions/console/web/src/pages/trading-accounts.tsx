// Accounts at brokers: their state, the clocks of their sessions, and how the brokers do.
import { useState } from "react";
import { Button } from "../components/button.tsx";
import { Loaded } from "../components/loaded.tsx";
import { ProviderStrip } from "../components/provider-strip.tsx";
import { EmptyState, Skeleton } from "../components/states.tsx";
import { Page } from "../frame/page.tsx";
import { type TradingAccount, useAccounts } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { trading } from "../messages/trading/index.ts";
import "../styles/trading.css";
import { AccountCard } from "./trading-accounts/account-card.tsx";
import { LinkDialog } from "./trading-accounts/link-dialog.tsx";

/** The list of accounts, each a card. */
export default function TradingAccounts() {
  const t = useText(trading);
  const title = useText(core)("nav.accounts");
  const accounts = useAccounts();
  const [isLinking, link] = useState(false);
  return (
    <Page title={title}>
      <Loaded query={accounts} data={accounts.data} shape={<Skeleton cards={2} />}>
        {(items) =>
          items.length === 0 ? (
            <EmptyState
              title={t("accounts.emptyTitle")}
              action={
                <Button look="primary" onClick={() => link(true)}>
                  {t("accounts.link")}
                </Button>
              }
            >
              {t("accounts.empty")}
            </EmptyState>
          ) : (
            <Accounts items={items} onLink={() => link(true)} />
          )
        }
      </Loaded>
      <ProviderStrip own={accounts.data?.map(({ broker }) => broker) ?? []} />
      {isLinking && <LinkDialog onClose={() => link(false)} />}
    </Page>
  );
}

function Accounts({ items, onLink }: { items: readonly TradingAccount[]; onLink: () => void }) {
  const t = useText(trading);
  const next = items.find(({ status }) => status !== "active" && status !== "disabled");
  return (
    <div className="stack">
      <div className="accounts">
        {items.map((account) => (
          <AccountCard key={account.account_id} account={account} isNext={account === next} />
        ))}
      </div>
      <div className="actions actions-start">
        <Button icon="plus" look={next ? "plain" : "primary"} onClick={onLink}>
          {t("accounts.link")}
        </Button>
      </div>
    </div>
  );
}
