// The step of a sign-in that sets a second factor up, where a role of the account requires one and there is none yet.
import type { EnabledFactor } from "portcullis-client";
import { useAuth } from "portcullis-client/react";
import { useEffect, useRef, useState } from "react";
import { Failure } from "../../api/failure.ts";
import { TextButton } from "../../components/button.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { ErrorNotice } from "../../components/states.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { hasPasskeys } from "../../session/passkey.ts";
import { Scan, Type } from "../security/app-steps.tsx";
import { Codes } from "../security/backup-codes.tsx";
import { MakePasskey } from "./make-passkey.tsx";

interface Props {
  name: string;
  onLate: () => void;
}

/** Scan, type, save the codes; or have a passkey made, and save the codes. Then the session begins. */
export default function EnrolStep({ name, onLate }: Props) {
  const t = useText(signIn);
  const a = useText(account);
  const { methods = [] } = useAuth() as { methods?: Schemas["EnrolmentRequired"]["methods"] };
  const { setup, error, again } = useSetup(methods.includes("totp"), onLate);
  const [step, go] = useState(1);
  const [enabled, enable] = useState<EnabledFactor>();
  const type = async (code: string) => {
    try {
      enable(await client.enableFactor(code));
    } catch (refused) {
      if (Failure.of(refused).code !== "invalid_session_token") throw refused;
      onLate();
    }
  };
  return (
    <GateCard title={t("enrol.title")} about={t("enrol.body", { name })}>
      {setup && <p className="muted small">{a("setup.step", { step: enabled ? 3 : step })}</p>}
      {enabled && <Codes name={name} codes={enabled.backupCodes} onSaved={enabled.enter} />}
      {!enabled && error !== undefined && <ErrorNotice error={error} onRetry={again} />}
      {!enabled && !setup && error === undefined && methods.includes("totp") && <div className="qr" aria-busy="true" />}
      {!enabled && setup && step === 1 && <Scan setup={setup} onNext={() => go(2)} />}
      {!enabled && setup && step === 2 && <Type onBack={() => go(1)} onCode={type} />}
      {!enabled && step === 1 && methods.includes("passkey") && hasPasskeys() && (
        <MakePasskey verb={t("enrol.passkey")} onMade={enable} onLate={onLate} />
      )}
      {!enabled && (
        <div>
          <TextButton onClick={() => client.cancelLogin()}>{t("code.otherName")}</TextButton>
        </div>
      )}
    </GateCard>
  );
}

/** The secret, asked for once: another one would make the picture that is being scanned worthless. */
function useSetup(isWanted: boolean, onLate: () => void) {
  const [setup, setSetup] = useState<Schemas["SetUpTotpResponse"]>();
  const [error, setError] = useState<unknown>();
  const isAsked = useRef(false);
  const late = useRef(onLate);
  late.current = onLate;
  const ask = () => {
    isAsked.current = true;
    setError(undefined);
    client.setUpFactor().then(setSetup, (refused: unknown) => {
      if (Failure.of(refused).code === "invalid_session_token") late.current();
      else setError(refused);
    });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, however often React looks at it.
  useEffect(() => {
    if (isWanted && !isAsked.current) ask();
  }, []);
  return { setup, error, again: ask };
}
