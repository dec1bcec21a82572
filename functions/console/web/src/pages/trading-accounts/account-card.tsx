// One account at a broker: its state, the end of its session, and what can be done with it.
import { useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { Button } from "../../components/button.tsx";
import { Pill } from "../../components/pill.tsx";
import { ErrorNotice } from "../../components/states.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import { type TradingAccount, tradingChanged } from "../../frame/trading-state.ts";
import { useText } from "../../messages/catalogue.ts";
import { trading } from "../../messages/trading/index.ts";
import { client } from "../../session/client.ts";
import { AccountDialog, type Doing } from "./account-dialogs.tsx";
import { Checked } from "./checked.tsx";
import { LoginLink } from "./login-link.tsx";
import { SessionEnd } from "./session-end.tsx";
import { accountName, adviceOf, needsLogin, STATUS_LOOK, type Verification } from "./state.ts";

interface AccountCardProps {
  account: TradingAccount;
  /** Whether its way on is the one thing to do next on this page. */
  isNext: boolean;
}

/** The card of an account. */
export function AccountCard({ account, isNext }: AccountCardProps) {
  const t = useText(trading);
  const [doing, become] = useState<Doing>();
  const broker = brokerName(account.broker);
  const name = accountName(account);
  const advice = adviceOf(account);
  const facts = { user: account.user_id_broker, hint: account.api_key_hint };
  const id = useId();
  return (
    <section className="account" aria-labelledby={id}>
      <div className="stack-tight">
        <h2 id={id}>{name}</h2>
        <p className="muted">
          {account.label ? `${broker} · ${t("accounts.about", facts)}` : t("accounts.about", facts)}
        </p>
        <p>
          <Pill {...STATUS_LOOK[account.status]}>{t(`status.${account.status}`)}</Pill>
        </p>
      </div>
      <div className="account-state">
        {account.session_expires_at && account.status === "active" && (
          <SessionEnd at={account.session_expires_at} broker={account.broker} />
        )}
        {advice && <p>{t(advice, { broker })}</p>}
      </div>
      <NextStep account={account} isNext={isNext} onReplace={() => become("replace")} />
      <ManageButtons account={account} onDo={become} />
      {doing && <AccountDialog doing={doing} account={account} onClose={() => become(undefined)} />}
    </section>
  );
}

/** The step that makes the account usable, or keeps it so, and what the broker says when it is asked. */
function NextStep({ account, isNext, onReplace }: AccountCardProps & { onReplace: () => void }) {
  const t = useText(trading);
  const check = useCheck(account);
  const broker = brokerName(account.broker);
  const url = account.login_url;
  const login = needsLogin(account);
  return (
    <>
      <div className="account-next">
        {url && account.status !== "disabled" && account.status !== "rejected" && (
          <LoginLink url={url} isPrimary={isNext && login}>
            {login ? t("action.login", { broker }) : t("action.renew")}
          </LoginLink>
        )}
        {account.status === "rejected" && (
          <Button look={isNext ? "primary" : "plain"} onClick={onReplace}>
            {t("action.replace")}
          </Button>
        )}
        {account.status !== "disabled" && (
          <Button
            look={isNext && !login && account.status === "pending" ? "primary" : "plain"}
            busy={check.isBusy}
            onClick={check.run}
          >
            {t("action.verify")}
          </Button>
        )}
      </div>
      {(check.answer || check.error !== undefined) && (
        <div className="account-news">
          {check.answer && <Checked broker={account.broker} answer={check.answer} />}
          {check.error !== undefined && <ErrorNotice error={check.error} onRetry={check.run} />}
        </div>
      )}
    </>
  );
}

/** Asks the broker about the key of an account. */
function useCheck(account: TradingAccount) {
  const queries = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Verification>();
  const [error, setError] = useState<unknown>();
  const run = () => {
    setBusy(true);
    setError(undefined);
    client
      .post("/v1/trading-accounts/{id}/verify", { params: { id: account.account_id } })
      .then(setAnswer, setError)
      .finally(() => {
        setBusy(false);
        tradingChanged(queries);
      });
  };
  return { isBusy, answer, error, run };
}

function ManageButtons({ account, onDo }: { account: TradingAccount; onDo: (doing: Doing) => void }) {
  const t = useText(trading);
  const doings: Doing[] = ["rename", account.status === "disabled" ? "enable" : "disable", "unlink"];
  if (account.status !== "rejected") doings.splice(1, 0, "replace");
  if (account.session_expires_at) doings.splice(-2, 0, account.session_mails ? "mute" : "unmute");
  return (
    <fieldset className="account-foot">
      <legend className="visually-hidden">{t("action.manage", { name: accountName(account) })}</legend>
      {doings.map((doing) => (
        <Button key={doing} small look="quiet" onClick={() => onDo(doing)}>
          {t(`action.${doing}`)}
        </Button>
      ))}
    </fieldset>
  );
}
