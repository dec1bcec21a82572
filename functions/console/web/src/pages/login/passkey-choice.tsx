// Signing in with a passkey: offered by the browser in the field for the name, and by a button for keys that are plugged in.
import { useEffect, useRef, useState } from "react";
import { Failure, isDismissed } from "../../api/failure.ts";
import { Button } from "../../components/button.tsx";
import { ErrorNotice } from "../../components/states.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { canOfferPasskeys, hasPasskeys, signInWithPasskey } from "../../session/passkey.ts";

/** The button, where the browser has passkeys. While it is there, the browser offers them in the field for the name. */
export function PasskeyChoice({ persistSession }: { persistSession: () => boolean }) {
  const t = useText(signIn);
  const [failure, setFailure] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const [isOff, switchOff] = useState(false);
  // A browser has one request for a passkey at a time.
  const current = useRef<AbortController>(undefined);
  const begin = (mediation: CredentialMediationRequirement) => {
    current.current?.abort();
    current.current = new AbortController();
    const { signal } = current.current;
    return signInWithPasskey(mediation, persistSession, signal).catch((error: unknown) => {
      if (signal.aborted || isDismissed(error)) return;
      const failed = Failure.of(error);
      if (failed.code === "passkeys_unavailable") switchOff(true);
      else setFailure(failed);
    });
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: it begins with the page and ends with it.
  useEffect(() => {
    let isGone = false;
    void canOfferPasskeys().then((can) => {
      if (can && !isGone) void begin("conditional");
    });
    return () => {
      isGone = true;
      current.current?.abort();
    };
  }, []);
  if (isOff || !hasPasskeys()) return null;
  const choose = () => {
    setBusy(true);
    setFailure(undefined);
    void begin("optional").finally(() => setBusy(false));
  };
  const wrong = failure?.code === "invalid_credentials" ? t("login.passkeyWrong") : undefined;
  return (
    <div className="stack">
      {failure && <ErrorNotice error={failure} title={wrong} />}
      <Button wide busy={isBusy} onClick={choose}>
        {t("login.passkey")}
      </Button>
    </div>
  );
}
