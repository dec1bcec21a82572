// The state of trading in the header, and its switch: one click freezes, another asks about resting orders first, and
// resuming asks for proof.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Form, useForm } from "../components/form.tsx";
import { Icon } from "../components/icon.tsx";
import { atProof, ProofField, proofOf } from "../components/proof.tsx";
import { ErrorNotice, Notice } from "../components/states.tsx";
import { clockTime, useNow } from "../components/time.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { brokerName } from "./session-clock.tsx";
import {
  type Freeze,
  type FrozenAccount,
  freeze,
  type TradingState,
  tradingChanged,
  tradingState,
  unfreeze,
  useTrading,
} from "./trading-state.ts";

type Frozen = Extract<TradingState, { state: "frozen" }>;

/** The state and its switch. */
export function TradingSwitch() {
  const trading = tradingState(useTrading().data);
  const [asked, ask] = useState<"lift" | "freeze">();
  const freezing = useFreezing();
  const freezeNow = () => freezing.mutate({ cancelOrders: false });
  useShiftFTwice(() => (trading.state === "frozen" ? ask("lift") : freezeNow()));
  const close = () => ask(undefined);
  return (
    <>
      {trading.state === "frozen" ? (
        <FrozenButton trading={trading} onClick={() => ask("lift")} />
      ) : (
        <OpenSwitch
          isKnown={trading.state === "open"}
          isBusy={freezing.isPending}
          onFreeze={freezeNow}
          onMore={() => ask("freeze")}
        />
      )}
      {asked === "lift" && trading.state === "frozen" && <LiftDialog trading={trading} onClose={close} />}
      {asked === "freeze" && (
        <FreezeDialog
          onClose={close}
          onFreeze={(cancelOrders) => {
            close();
            freezing.mutate({ cancelOrders });
          }}
        />
      )}
      <FreezeOutcome freezing={freezing} />
    </>
  );
}

/** Says what cancelling means before it freezes: a protective stop is an order, too. */
function FreezeDialog({ onClose, onFreeze }: { onClose: () => void; onFreeze: (cancelOrders: boolean) => void }) {
  const t = useText(core);
  return (
    <Dialog title={t("trading.freezeTitle")} onClose={onClose}>
      <p>{t("trading.freezeBody")}</p>
      <div className="actions">
        <Button onClick={onClose}>{t("cancel")}</Button>
        <Button onClick={() => onFreeze(true)}>{t("trading.freezeAndCancel")}</Button>
        <Button look="danger" onClick={() => onFreeze(false)} autoFocus>
          {t("trading.freezeOnly")}
        </Button>
      </div>
    </Dialog>
  );
}

/** What stands in the way of trading, and the proof that lifts one's own freeze where there is one. */
function LiftDialog({ trading, onClose }: { trading: Frozen; onClose: () => void }) {
  const t = useText(core);
  const others = trading.freezes.filter(({ by }) => by !== "self");
  if (others.length === 0) return <ResumeDialog onClose={onClose} />;
  const isOwnToo = others.length < trading.freezes.length;
  return isOwnToo ? (
    <ResumeDialog onClose={onClose} others={others} />
  ) : (
    <Dialog title={t("trading.frozenNow")} onClose={onClose}>
      <OtherFreezes freezes={others} />
      <div className="actions">
        <Button onClick={onClose} autoFocus>
          {t("close")}
        </Button>
      </div>
    </Dialog>
  );
}

/** Freezes that only an administrator lifts. */
export function OtherFreezes({ freezes }: { freezes: readonly Freeze[] }) {
  const t = useText(core);
  const present = useNow();
  return (
    <Notice tone="danger" title={t("trading.notYours")}>
      <ul className="stack-tight">
        {freezes.map(({ by, since, until, reason }) => (
          <li key={by}>
            {t(FROZEN_BY[by], { time: clockTime(Date.parse(since), present) })}
            {until && ` ${t("trading.until", { time: clockTime(Date.parse(until), present) })}`}
            {reason && <span className="muted"> {reason}</span>}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

/** Freezes at once, and has every tab learn of it. */
export function useFreezing() {
  const queries = useQueryClient();
  return useMutation({ mutationFn: freeze, onSuccess: () => tradingChanged(queries) });
}

interface OpenSwitchProps {
  isKnown: boolean;
  isBusy: boolean;
  onFreeze: () => void;
  onMore: () => void;
}

function OpenSwitch({ isKnown, isBusy, onFreeze, onMore }: OpenSwitchProps) {
  const t = useText(core);
  return (
    <div className="trading">
      {isKnown && (
        <span className="trading-state">
          <span className="trading-dot" />
          <span className="trading-words">{t("trading.open")}</span>
        </span>
      )}
      <button
        type="button"
        className="trading-button"
        aria-label={t("trading.freeze")}
        aria-keyshortcuts="Shift+F"
        aria-disabled={isBusy || undefined}
        title={t("trading.shortcut")}
        onClick={() => isBusy || onFreeze()}
      >
        {t("trading.freezeShort")}
      </button>
      <button
        type="button"
        className="trading-button trading-more"
        aria-haspopup="dialog"
        aria-label={t("trading.freezeMore")}
        title={t("trading.freezeMore")}
        onClick={onMore}
      >
        …
      </button>
    </div>
  );
}

const FROZEN_BY = {
  self: "trading.frozenByYou",
  admin: "trading.frozenByAdmin",
  everybody: "trading.frozenForAll",
} as const;

function FrozenButton({ trading, onClick }: { trading: Frozen; onClick: () => void }) {
  const t = useText(core);
  const present = useNow();
  const since = clockTime(Date.parse(trading.since), present);
  const until = trading.freezes.find(({ by }) => by === trading.by)?.until;
  return (
    <button
      type="button"
      className="trading trading-frozen"
      aria-haspopup="dialog"
      title={t("trading.unfreeze")}
      onClick={onClick}
    >
      <Icon name="pause" size={16} />
      <span className="trading-long">
        {t(FROZEN_BY[trading.by], { time: since })}
        {until && ` ${t("trading.until", { time: clockTime(Date.parse(until), present) })}`}
      </span>
      <span className="trading-short">{t("trading.frozenShort")}</span>
    </button>
  );
}

/** Calls back when Shift+F is pressed twice within a second, outside of fields. */
function useShiftFTwice(act: () => void): void {
  useEffect(() => {
    let last = 0;
    const pressed = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (event.key !== "F" || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      const isSecond = event.timeStamp - last < 1000;
      last = isSecond ? 0 : event.timeStamp;
      if (isSecond) act();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}

/** What came of freezing: which sessions ended at which broker, or why it failed. */
export function FreezeOutcome({ freezing }: { freezing: ReturnType<typeof useFreezing> }) {
  const t = useText(core);
  if (freezing.error) {
    return (
      <Dialog title={t("trading.notFrozen")} onClose={freezing.reset}>
        <ErrorNotice
          error={freezing.error}
          isWrite
          onRetry={() => freezing.mutate(freezing.variables ?? { cancelOrders: false })}
        />
      </Dialog>
    );
  }
  if (!freezing.data) return null;
  return (
    <Dialog title={t("trading.frozenNow")} onClose={freezing.reset}>
      <Notice tone="danger" isNews title={t("trading.frozenNowBody")}>
        <StoppedAccounts accounts={freezing.data.accounts} />
      </Notice>
      {!freezing.variables?.cancelOrders && <p>{t("trading.ordersStay")}</p>}
      <div className="actions">
        <Button onClick={freezing.reset} autoFocus>
          {t("close")}
        </Button>
      </div>
    </Dialog>
  );
}

const SESSION_END = {
  ended: "trading.sessionEnded",
  none: "trading.sessionNone",
  unconfirmed: "trading.sessionUnconfirmed",
  kept: "trading.sessionKept",
} as const;

const ORDERS = {
  cancelled: "trading.ordersCancelled",
  partly: "trading.ordersPartly",
  unconfirmed: "trading.ordersUnconfirmed",
  delegated: "trading.ordersDelegated",
} as const;

/** What became of each account: its session, its orders, and what to do about what is not certain. */
export function StoppedAccounts({ accounts }: { accounts: readonly FrozenAccount[] }) {
  const t = useText(core);
  if (accounts.length === 0) return null;
  return (
    <ul className="stack-tight">
      {accounts.map(({ account_id: id, broker, session, orders, open_orders: open, reason }) => (
        <li key={id}>
          {brokerName(broker)}: {t(SESSION_END[session])}
          {orders !== "none" && `. ${t(ORDERS[orders])}`}
          {orders === "none" && open === 0 && `. ${t("trading.ordersNone")}`}
          {orders !== "none" && orders !== "cancelled" && open !== null && open !== undefined && (
            <>. {t("trading.ordersOpen", { count: open })}</>
          )}
          {reason && <span className="muted"> {reason}</span>}
        </li>
      ))}
    </ul>
  );
}

/** Asks for the proof that resuming takes. */
export function ResumeDialog({ onClose, others = [] }: { onClose: () => void; others?: readonly Freeze[] }) {
  const t = useText(core);
  const queries = useQueryClient();
  const form = useForm(async (data) => {
    await unfreeze(await proofOf(data));
    tradingChanged(queries);
    onClose();
  }, atProof);
  return (
    <Dialog title={t("trading.unfreezeTitle")} onClose={onClose}>
      <Form form={form}>
        {others.length > 0 && <OtherFreezes freezes={others} />}
        <p>{t("trading.unfreezeBody")}</p>
        <ProofField form={form} autoFocus />
        <div className="actions">
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" look="primary" busy={form.isBusy}>
            {t("trading.unfreeze")}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}
