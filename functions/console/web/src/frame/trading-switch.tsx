// The state of trading in the header, and its switch: one click freezes, resuming asks for proof.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { Form, useForm } from "../components/form.tsx";
import { Icon } from "../components/icon.tsx";
import { atProof, ProofField, proofIn } from "../components/proof.tsx";
import { ErrorNotice, Notice } from "../components/states.tsx";
import { clockTime, useNow } from "../components/time.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { brokerName } from "./session-clock.tsx";
import {
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
  const [isResuming, resume] = useState(false);
  const freezing = useFreezing();
  useShiftFTwice(() => (trading.state === "frozen" ? resume(true) : freezing.mutate()));
  return (
    <>
      {trading.state === "frozen" ? (
        <FrozenButton trading={trading} onClick={() => resume(true)} />
      ) : (
        <OpenSwitch isKnown={trading.state === "open"} isBusy={freezing.isPending} onFreeze={() => freezing.mutate()} />
      )}
      {isResuming && <ResumeDialog onClose={() => resume(false)} />}
      <FreezeOutcome freezing={freezing} />
    </>
  );
}

/** Freezes at once, and has every tab learn of it. */
export function useFreezing() {
  const queries = useQueryClient();
  return useMutation({ mutationFn: freeze, onSuccess: () => tradingChanged(queries) });
}

function OpenSwitch({ isKnown, isBusy, onFreeze }: { isKnown: boolean; isBusy: boolean; onFreeze: () => void }) {
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
    </div>
  );
}

function FrozenButton({ trading, onClick }: { trading: Frozen; onClick: () => void }) {
  const t = useText(core);
  const since = clockTime(Date.parse(trading.since), useNow());
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
        {t(trading.by === "self" ? "trading.frozenByYou" : "trading.frozen", { time: since })}
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
        <ErrorNotice error={freezing.error} isWrite onRetry={() => freezing.mutate()} />
      </Dialog>
    );
  }
  if (!freezing.data) return null;
  return (
    <Dialog title={t("trading.frozenNow")} onClose={freezing.reset}>
      <Notice tone="danger" isNews title={t("trading.frozenNowBody")}>
        <EndedSessions accounts={freezing.data.accounts} />
      </Notice>
      <p>{t("trading.ordersStay")}</p>
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
} as const;

function EndedSessions({ accounts }: { accounts: readonly FrozenAccount[] }) {
  const t = useText(core);
  if (accounts.length === 0) return null;
  return (
    <ul className="stack-tight">
      {accounts.map((account) => (
        <li key={account.account_id}>
          {brokerName(account.broker)}: {t(SESSION_END[account.session])}
          {account.reason && <span className="muted"> {account.reason}</span>}
        </li>
      ))}
    </ul>
  );
}

/** Asks for the proof that resuming takes. */
export function ResumeDialog({ onClose }: { onClose: () => void }) {
  const t = useText(core);
  const queries = useQueryClient();
  const form = useForm(async (data) => {
    await unfreeze(proofIn(data));
    tradingChanged(queries);
    onClose();
  }, atProof);
  return (
    <Dialog title={t("trading.unfreezeTitle")} onClose={onClose}>
      <Form form={form}>
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
