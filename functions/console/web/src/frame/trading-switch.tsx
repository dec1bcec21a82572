// The state of trading in the header, and its switch. Freezing asks for nothing that the service does not ask for.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Failure } from "../api/failure.ts";
import { Button } from "../components/button.tsx";
import { Dialog } from "../components/dialog.tsx";
import { CodeField, PasswordField, plainCode } from "../components/field.tsx";
import { Form, useForm } from "../components/form.tsx";
import { Icon } from "../components/icon.tsx";
import { Notice } from "../components/states.tsx";
import { clockTime, useNow } from "../components/time.tsx";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import {
  type FrozenAccount,
  freeze,
  type Proof,
  type TradingState,
  tradingChanged,
  tradingState,
  unfreeze,
  useStatus,
} from "./trading-state.ts";

/** The pill of the header. It opens the dialog that freezes or resumes. */
export function TradingSwitch() {
  const t = useText(core);
  const status = useStatus();
  const present = useNow();
  const [isOpen, open] = useState(false);
  useShiftFTwice(() => open(true));
  const trading = tradingState(status.data);
  const words = {
    unknown: [t("trading.unknown"), t("trading.unknownShort")],
    open: [t("trading.open"), t("trading.openShort")],
    frozen: [
      t("trading.frozen", { time: trading.state === "frozen" ? clockTime(Date.parse(trading.since), present) : "" }),
      t("trading.frozenShort"),
    ],
  }[trading.state];
  return (
    <>
      <button
        type="button"
        className={`trading trading-${trading.state}`}
        aria-haspopup="dialog"
        aria-keyshortcuts="Shift+F"
        title={t("trading.shortcut")}
        onClick={() => open(true)}
      >
        {trading.state === "open" ? <span className="trading-dot" /> : <Icon name="pause" size={16} />}
        <span className="trading-long">{words[0]}</span>
        <span className="trading-short">{words[1]}</span>
      </button>
      {isOpen && (
        <TradingDialog trading={trading} needsCode={status.data?.mfa_enabled ?? false} onClose={() => open(false)} />
      )}
    </>
  );
}

/** Calls back when Shift+F is pressed twice within a second, outside of fields. */
function useShiftFTwice(act: () => void): void {
  useEffect(() => {
    let last = 0;
    const pressed = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (event.key !== "F" || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      if (event.timeStamp - last < 1000) act();
      last = event.timeStamp;
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}

/** Freezes or resumes, and says what came of it. */
export function TradingDialog(props: { trading: TradingState; needsCode: boolean; onClose: () => void }) {
  // What it is about stays, though the answer changes the state behind it.
  const [isFreezing] = useState(props.trading.state !== "frozen");
  const [done, setDone] = useState<FrozenAccount[]>();
  if (done) return <Outcome isFrozen={isFreezing} accounts={done} onClose={props.onClose} />;
  return <Question {...props} isFreezing={isFreezing} onDone={setDone} />;
}

interface QuestionProps {
  trading: TradingState;
  needsCode: boolean;
  isFreezing: boolean;
  onDone: (accounts: FrozenAccount[]) => void;
  onClose: () => void;
}

function Question({ trading, needsCode, isFreezing, onDone, onClose }: QuestionProps) {
  const t = useText(core);
  const queries = useQueryClient();
  const [needsProof, ask] = useState(!isFreezing);
  const form = useForm(async (data) => {
    try {
      const accounts = isFreezing ? (await freeze(proof(data))).accounts : await unfreeze(proof(data)).then(() => []);
      tradingChanged(queries);
      onDone(accounts);
    } catch (error) {
      const isAsked = isFreezing && !needsProof && wantsProof(Failure.of(error));
      if (!isAsked) throw error;
      ask(true);
    }
  });
  const error = form.error("/code") ?? form.error("/password");
  return (
    <Dialog title={t(isFreezing ? "trading.freezeTitle" : "trading.unfreezeTitle")} onClose={onClose}>
      <Form form={form}>
        {trading.state === "frozen" && (
          <p>{t("trading.sinceBy", { time: clockTime(Date.parse(trading.since), Date.now()) })}</p>
        )}
        <p>{t(isFreezing ? "trading.freezeBody" : "trading.unfreezeBody")}</p>
        {needsProof && needsCode && <CodeField label={t("trading.proofCode")} error={error} autoFocus />}
        {needsProof && !needsCode && (
          <PasswordField
            label={t("trading.proofPassword")}
            name="password"
            autoComplete="current-password"
            required
            error={error}
            autoFocus
          />
        )}
        <div className="actions">
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" look={isFreezing ? "danger" : "primary"} busy={form.isBusy} autoFocus={!needsProof}>
            {t(isFreezing ? "trading.freeze" : "trading.unfreeze")}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}

function proof(data: FormData): Proof {
  const code = data.get("code");
  const password = data.get("password");
  return code ? { code: plainCode(String(code)) } : password ? { password: String(password) } : {};
}

/** Whether the service refused because it wants the owner to prove who it is. */
function wantsProof(failure: Failure): boolean {
  return (
    failure.code === "validation_failed" || failure.code === "invalid_credentials" || failure.code === "invalid_code"
  );
}

function Outcome({
  isFrozen,
  accounts,
  onClose,
}: {
  isFrozen: boolean;
  accounts: FrozenAccount[];
  onClose: () => void;
}) {
  const t = useText(core);
  const words = {
    ended: "trading.sessionEnded",
    none: "trading.sessionNone",
    unconfirmed: "trading.sessionUnconfirmed",
  } as const;
  return (
    <Dialog title={t(isFrozen ? "trading.frozenNow" : "trading.openNow")} onClose={onClose}>
      <Notice
        tone={isFrozen ? "danger" : "success"}
        isNews
        title={t(isFrozen ? "trading.frozenNowBody" : "trading.openNow")}
      >
        {accounts.length > 0 && (
          <ul className="stack-tight">
            {accounts.map((account) => (
              <li key={account.account_id}>
                {account.broker}: {t(words[account.session])}
                {account.reason && <span className="muted"> {account.reason}</span>}
              </li>
            ))}
          </ul>
        )}
      </Notice>
      <div className="actions">
        <Button look="primary" onClick={onClose} autoFocus>
          {t("close")}
        </Button>
      </div>
    </Dialog>
  );
}
