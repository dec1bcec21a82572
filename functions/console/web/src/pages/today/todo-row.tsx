// One thing that needs doing, with the button that does it.
import { type ReactNode, useState } from "react";
import { Button, ButtonLink } from "../../components/button.tsx";
import { Icon } from "../../components/icon.tsx";
import { ErrorNotice } from "../../components/states.tsx";
import { absolute, clockTime, relative, useNow } from "../../components/time.tsx";
import { brokerName, shortDuration } from "../../frame/session-clock.tsx";
import type { TradingAccount } from "../../frame/trading-state.ts";
import { ResumeDialog } from "../../frame/trading-switch.tsx";
import { type Translate, useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { trading } from "../../messages/trading/index.ts";
import { client } from "../../session/client.ts";
import { LoginLink } from "../trading-accounts/login-link.tsx";
import { accountName } from "../trading-accounts/state.ts";
import type { Todo } from "./todo.ts";

type Words = Translate<keyof (typeof trading)["english"]>;

/** A row of what needs doing. */
export function TodoRow({ todo, isNext, email }: { todo: Todo; isNext: boolean; email: string }) {
  const t = useText(trading);
  const present = useNow();
  const [title, body] = wordsOf(todo, t, present);
  return (
    <li className={todo.stops ? "todo tone-danger" : "todo tone-warning"}>
      <Icon name={todo.stops ? "stop" : "warning"} />
      <div className="stack-tight">
        <h2>
          {todo.stops && <span className="visually-hidden">{t("today.stops")}: </span>}
          {title}
        </h2>
        <p className="muted">{body}</p>
      </div>
      <Action todo={todo} isNext={isNext} email={email} />
    </li>
  );
}

function wordsOf(todo: Todo, t: Words, now: number): [string, string] {
  switch (todo.is) {
    case "frozen":
      return [t("todo.frozen", { time: clockTime(Date.parse(todo.since), now) }), t("todo.frozenBody")];
    case "expired":
    case "pending":
    case "rejected":
    case "ending":
      return wordsOfAccount(todo.is, todo.account, t, now);
    case "provider":
      return wordsOfProvider(todo.provider, t);
    case "password": {
      const at = Date.parse(todo.at);
      return [t("todo.password", { time: relative(at, now) ?? absolute(at) }), t("todo.passwordBody")];
    }
    default:
      return [t(`todo.${todo.is}`), t(`todo.${todo.is}Body`)];
  }
}

function wordsOfAccount(
  is: "expired" | "pending" | "rejected" | "ending",
  account: TradingAccount,
  t: Words,
  now: number,
): [string, string] {
  const broker = brokerName(account.broker);
  const left = shortDuration(Date.parse(account.session_expires_at ?? "") - now || 0);
  const title = t(`todo.${is}`, { name: accountName(account), broker, left });
  if (is === "ending") return [title, t("todo.endingBody")];
  const advice = is === "pending" && account.login_url ? "advice.pendingLogin" : (`advice.${is}` as const);
  return [title, t(advice, { broker })];
}

function wordsOfProvider({ name, status, consecutive_failures: count }: ProviderTodo, t: Words): [string, string] {
  const isDown = status === "unhealthy";
  const title = t(isDown ? "todo.provider" : "todo.providerDegraded", { name: brokerName(name) });
  return [title, count > 0 ? t("todo.providerBody", { count }) : t("todo.providerDegradedBody")];
}

type ProviderTodo = Extract<Todo, { is: "provider" }>["provider"];

function Action({ todo, isNext, email }: { todo: Todo; isNext: boolean; email: string }): ReactNode {
  const t = useText(trading);
  const look = isNext ? "primary" : "plain";
  const place = { link: "/trading-accounts", factor: "/security", password: "/security" } as const;
  switch (todo.is) {
    case "frozen":
      return <Resume look={look} />;
    case "email":
      return <SendLink email={email} />;
    case "provider":
      return <ButtonLink to="/trading-accounts">{t("todo.providerAction")}</ButtonLink>;
    case "link":
    case "factor":
    case "password":
      return (
        <ButtonLink to={place[todo.is]} look={look}>
          {t(todo.is === "link" ? "accounts.link" : `todo.${todo.is}Action`)}
        </ButtonLink>
      );
    default:
      return <AccountAction todo={todo} isNext={isNext} />;
  }
}

function AccountAction({ todo, isNext }: { todo: Extract<Todo, { account: unknown }>; isNext: boolean }) {
  const t = useText(trading);
  const { account } = todo;
  if (account.login_url && todo.is !== "rejected") {
    return (
      <LoginLink url={account.login_url} isPrimary={isNext}>
        {todo.is === "ending" ? t("action.renew") : t("action.login", { broker: brokerName(account.broker) })}
      </LoginLink>
    );
  }
  return (
    <ButtonLink to="/trading-accounts" look={isNext ? "primary" : "plain"}>
      {t(todo.is === "rejected" ? "action.replace" : "action.verify")}
    </ButtonLink>
  );
}

function Resume({ look }: { look: "primary" | "plain" }) {
  const t = useText(core);
  const [isAsking, ask] = useState(false);
  return (
    <>
      <Button look={look} onClick={() => ask(true)}>
        {t("trading.unfreeze")}
      </Button>
      {isAsking && <ResumeDialog onClose={() => ask(false)} />}
    </>
  );
}

function SendLink({ email }: { email: string }) {
  const t = useText(trading);
  const [state, become] = useState<{ is: "open" | "busy" | "sent" } | { is: "failed"; error: unknown }>({ is: "open" });
  const send = () => {
    become({ is: "busy" });
    client.post("/v1/auth/email/resend", { body: { email } }).then(
      () => become({ is: "sent" }),
      (error) => become({ is: "failed", error }),
    );
  };
  if (state.is === "sent") return <p role="status">{t("todo.emailSent", { email })}</p>;
  if (state.is === "failed") return <ErrorNotice error={state.error} onRetry={send} isWrite />;
  return (
    <Button busy={state.is === "busy"} onClick={send}>
      {t("todo.emailAction")}
    </Button>
  );
}
