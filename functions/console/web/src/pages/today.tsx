// The page after the sign-in. It answers one question: can I trade now? Then only what needs doing.
import { useQuery } from "@tanstack/react-query";
import type { User } from "portcullis-client";
import { useAuth } from "portcullis-client/react";
import { Link } from "react-router";
import { ProviderStrip, useProviders } from "../components/provider-strip.tsx";
import { ErrorNotice, Skeleton } from "../components/states.tsx";
import { Time, useNow } from "../components/time.tsx";
import { TrailIntegrity } from "../components/trail-integrity.tsx";
import { Page } from "../frame/page.tsx";
import { tradingState, useAccounts, useStatus, useTrading } from "../frame/trading-state.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { trading } from "../messages/trading/index.ts";
import { client } from "../session/client.ts";
import "../styles/trading.css";
import { browserAndSystem } from "./device-name.ts";
import { PasskeyOffer } from "./today/passkey-offer.tsx";
import { type Situation, type Todo, whatNeedsDoing } from "./today/todo.ts";
import { TodoRow } from "./today/todo-row.tsx";

/** The page of the day. */
export default function Today() {
  const title = useText(core)("nav.today");
  const { user } = useAuth();
  const accounts = useAccounts();
  return (
    <Page title={title}>
      <PasskeyOffer />
      {user && <Answer user={user} />}
      <ProviderStrip own={accounts.data?.map(({ broker }) => broker) ?? []} />
      <LastSignIn />
      <TrailIntegrity />
    </Page>
  );
}

function Answer({ user }: { user: User }) {
  const t = useText(trading);
  const now = useNow();
  const [accounts, open, status, providers] = [useAccounts(), useTrading(), useStatus(), useProviders()];
  const failed = [accounts, open, status].find((query) => query.error && !query.data);
  if (failed) {
    return (
      <div className="stack">
        <p className="lead">{t("today.unknown")}</p>
        <ErrorNotice error={failed.error} onRetry={() => failed.refetch()} />
      </div>
    );
  }
  // A service that cannot say how providers do is no reason to say nothing.
  if (!accounts.data || !open.data || !status.data || providers.isLoading) {
    return <Skeleton cards={1} />;
  }
  const situation: Situation = {
    accounts: accounts.data,
    trading: tradingState(open.data),
    status: status.data,
    providers: providers.data?.items ?? [],
    user,
    now,
  };
  return <Todos todos={whatNeedsDoing(situation)} email={user.email ?? ""} />;
}

function Todos({ todos, email }: { todos: readonly Todo[]; email: string }) {
  const t = useText(trading);
  const stopping = todos.filter(({ stops }) => stops);
  return (
    <section className="stack-loose" aria-label={t("today.todo")}>
      <p className="today-answer">{t(sentence(todos, stopping), { count: stopping.length || todos.length })}</p>
      {todos.length === 0 && <p className="muted">{t("today.readyBody")}</p>}
      {todos.length > 0 && (
        <ul className="todos">
          {todos.map((todo, index) => (
            <TodoRow key={keyOf(todo)} todo={todo} isNext={index === 0} email={email} />
          ))}
        </ul>
      )}
    </section>
  );
}

function sentence(todos: readonly Todo[], stopping: readonly Todo[]) {
  const [first] = stopping;
  if (stopping.length === 1 && first?.is === "frozen") return "today.frozen";
  if (stopping.length === 1 && first?.is === "link") return "today.none";
  if (stopping.length > 0) return "today.blocked";
  return todos.length > 0 ? "today.attention" : "today.ready";
}

function keyOf(todo: Todo): string {
  const of = "account" in todo ? todo.account.account_id : "provider" in todo ? todo.provider.name : "";
  return `${todo.is} ${of}`;
}

/** The sign-in before the one of this session, and from where. */
function LastSignIn() {
  const t = useText(trading);
  const read = () => client.get("/v1/audit", { query: { type: "login_succeeded", limit: 2 } });
  const { data } = useQuery({ queryKey: ["last-sign-in"], queryFn: read });
  if (!data) return null;
  const before = data.items[1];
  const { browser, system } = browserAndSystem(before?.user_agent);
  const agent = browser && system ? t("agent.on", { browser, system }) : (browser ?? system ?? t("agent.unknown"));
  return (
    <section className="stack-tight" aria-labelledby="last-sign-in">
      <div className="row-between">
        <h2 id="last-sign-in">{t("last.title")}</h2>
        <Link to="/audit" className="small">
          {t("last.all")}
        </Link>
      </div>
      {before ? (
        <p className="muted">
          <Time value={before.at} /> · {agent}
          {before.ip && <> · {t("last.from", { ip: before.ip })}</>}
        </p>
      ) : (
        <p className="muted">{t("last.first")}</p>
      )}
    </section>
  );
}
