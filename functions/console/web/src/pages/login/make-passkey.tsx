// The button that has a passkey made as a first factor, in the browser's dialog.
import type { EnabledFactor } from "portcullis-client";
import { useState } from "react";
import { Failure, isDismissed } from "../../api/failure.ts";
import { Button, type Look } from "../../components/button.tsx";
import { ErrorNotice, Notice } from "../../components/states.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { enrolPasskey } from "../../session/passkey.ts";

interface Props {
  verb: string;
  look?: Look;
  onMade: (factor: EnabledFactor) => void;
  /** What waited for the passkey has ended. */
  onLate: () => void;
}

/** The button, with what became of the last try. */
export function MakePasskey({ verb, look = "plain", onMade, onLate }: Props) {
  const t = useText(account);
  const [failure, setFailure] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  const make = () => {
    setBusy(true);
    setFailure(undefined);
    enrolPasskey()
      .then(onMade, (error: unknown) => {
        if (Failure.of(error).code === "invalid_session_token") onLate();
        else setFailure(error);
      })
      .finally(() => setBusy(false));
  };
  return (
    <div className="stack">
      {failure !== undefined &&
        (isDismissed(failure) ? <Notice isNews>{t("passkeys.dismissed")}</Notice> : <ErrorNotice error={failure} />)}
      <Button wide look={look} busy={isBusy} onClick={make}>
        {verb}
      </Button>
    </div>
  );
}
