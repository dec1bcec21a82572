// Where a broker's login page leads back to: the session is begun at once, and the page says until when it lasts, or what to do.
import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Failure } from "../api/failure.ts";
import { Button, ButtonLink } from "../components/button.tsx";
import { Loaded } from "../components/loaded.tsx";
import { ErrorNotice, Notice, Skeleton } from "../components/states.tsx";
import { clockTime, useNow } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { brokerName, shortDuration } from "../frame/session-clock.tsx";
import { type TradingAccount, tradingChanged, useAccounts } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { trading } from "../messages/trading/index.ts";
import { brokerReturn, forgetBrokerReturn } from "../session/broker-return.ts";
import { client } from "../session/client.ts";
import { LoginLink } from "./trading-accounts/login-link.tsx";
import { accountName, type Verification } from "./trading-accounts/state.ts";
import "../styles/trading.css";

/** What the broker led back with decides what this page is about. */
export default function BrokerCallback() {
  const t = useText(trading);
  // What was sent is forgotten at once; the page goes on knowing that there was something.
  const [back] = useState(brokerReturn);
  const accounts = useAccounts();
  const [chosen, choose] = useState(back?.accountId);
  return (
    <Page title={t("callback.title")} isReading>
      {back ? (
        <Loaded query={accounts} data={accounts.data}>
          {(items) => {
            const candidates = items.filter(({ broker, login_url }) => (back.isDhan ? broker === "dhan" : login_url));
            const id = chosen ?? (candidates.length === 1 ? candidates[0]?.account_id : undefined);
            const account = items.find(({ account_id }) => account_id === id);
            if (!back.isSuccess || !back.requestToken) return <Refused account={account} />;
            if (account) return <Exchange account={account} />;
            return <Choice accounts={candidates} onChoose={choose} />;
          }}
        </Loaded>
      ) : (
        <>
          <p>{t("callback.missing")}</p>
          <Ways />
        </>
      )}
    </Page>
  );
}

function Choice({ accounts, onChoose }: { accounts: readonly TradingAccount[]; onChoose: (id: string) => void }) {
  const t = useText(trading);
  return (
    <>
      <p className="lead">{t("callback.choose")}</p>
      <div className="row">
        {accounts.map((account) => (
          <Button key={account.account_id} onClick={() => onChoose(account.account_id)}>
            {`${accountName(account)} (${account.user_id_broker})`}
          </Button>
        ))}
      </div>
    </>
  );
}

// A token works once: however often the page renders, it is sent once.
let sent: Promise<Verification> | undefined;

function begin(id: string): Promise<Verification> {
  const back = brokerReturn();
  if (back?.requestToken) {
    const body = { request_token: back.requestToken, state: back.state ?? null };
    forgetBrokerReturn();
    sent = client.post("/v1/trading-accounts/{id}/session", { params: { id }, body });
  }
  return sent ?? Promise.reject(new Error("there is no token to send"));
}

type State = { is: "open" } | { is: "answered"; answer: Verification } | { is: "failed"; error: unknown };

function Exchange({ account }: { account: TradingAccount }) {
  const t = useText(trading);
  const queries = useQueryClient();
  const [state, become] = useState<State>({ is: "open" });
  useEffect(() => {
    begin(account.account_id).then(
      (answer) => {
        become({ is: "answered", answer });
        tradingChanged(queries);
      },
      (error) => become({ is: "failed", error }),
    );
  }, [account.account_id, queries]);
  if (state.is === "open") {
    return (
      <>
        <p role="status">{t("callback.working")}</p>
        <Skeleton lines={2} />
      </>
    );
  }
  if (state.is === "answered" && state.answer.status === "active") return <Begun account={account} />;
  return (
    <NotBegun account={account}>
      {state.is === "answered" ? (
        <Notice tone="danger" isNews title={t("callback.failedTitle")}>
          {state.answer.reason && <p>{state.answer.reason}</p>}
        </Notice>
      ) : (
        <ErrorNotice title={t("callback.failedTitle")} error={Failure.of(state.error)} />
      )}
    </NotBegun>
  );
}

function Begun({ account }: { account: TradingAccount }) {
  const t = useText(trading);
  const present = useNow();
  const end = account.session_expires_at ? Date.parse(account.session_expires_at) : undefined;
  return (
    <>
      <div className="stack-tight" role="status">
        <p className="lead">{t("callback.doneTitle", { broker: brokerName(account.broker) })}</p>
        {end && <p>{t("callback.until", { time: clockTime(end, present), left: shortDuration(end - present) })}</p>}
        <p className="muted">{t("callback.doneBody")}</p>
      </div>
      <Ways isDone />
    </>
  );
}

function Refused({ account }: { account: TradingAccount | undefined }) {
  const t = useText(trading);
  const broker = brokerName(account?.broker ?? "kite");
  return (
    <NotBegun account={account}>
      <Notice tone="danger" isNews title={t("callback.failedTitle")}>
        <p>{t("callback.refused", { broker })}</p>
      </Notice>
    </NotBegun>
  );
}

function NotBegun({ account, children }: { account: TradingAccount | undefined; children: ReactNode }) {
  const t = useText(trading);
  return (
    <>
      {children}
      <p>{t("callback.dead")}</p>
      <div className="row">
        {account?.login_url && (
          <LoginLink url={account.login_url} isPrimary>
            {t("callback.again")}
          </LoginLink>
        )}
        <ButtonLink to="/trading-accounts">{t("callback.toAccounts")}</ButtonLink>
      </div>
    </>
  );
}

function Ways({ isDone }: { isDone?: boolean }) {
  const t = useText(trading);
  return (
    <div className="row">
      <ButtonLink to="/" look={isDone ? "primary" : "plain"}>
        {t("callback.toToday")}
      </ButtonLink>
      <ButtonLink to="/trading-accounts">{t("callback.toAccounts")}</ButtonLink>
    </div>
  );
}
