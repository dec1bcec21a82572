// The passkey that link and code lead to, its backup codes, and the session that begins once they are kept.
import type { EnabledFactor } from "portcullis-client";
import { useState } from "react";
import { useNavigate } from "react-router";
import { GateCard } from "../../components/gate-card.tsx";
import { useText } from "../../messages/catalogue.ts";
import { passwordless } from "../../messages/passwordless/index.ts";
import { MakePasskey } from "../login/make-passkey.tsx";
import { Codes } from "../security/backup-codes.tsx";

/** The step after the recovery: nobody is signed in before the passkey is made. */
export default function NewPasskey({ onLate }: { onLate: () => void }) {
  const t = useText(passwordless);
  const go = useNavigate();
  const [made, become] = useState<EnabledFactor>();
  if (!made) {
    return (
      <GateCard title={t("passkeyTitle")} about={t("passkeyBody")}>
        <MakePasskey verb={t("passkeyVerb")} look="primary" onMade={become} onLate={onLate} />
      </GateCard>
    );
  }
  const enter = () => {
    made.enter();
    go("/", { replace: true });
  };
  return (
    <GateCard title={t("passkeyTitle")}>
      <Codes codes={made.backupCodes} about={t("codesSave")} onSaved={enter} />
    </GateCard>
  );
}
