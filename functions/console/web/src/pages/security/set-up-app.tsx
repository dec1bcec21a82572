// An authenticator app in three steps: scan, type, save the codes. One thing at a time.
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Dialog } from "../../components/dialog.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { client, type Schemas } from "../../session/client.ts";
import { Scan, Type } from "./app-steps.tsx";
import { Codes } from "./backup-codes.tsx";

interface Props {
  user: Schemas["User"];
  onClose: () => void;
}

/** The dialog with its three steps. The secret is forgotten with it. */
export function SetUpApp({ user, onClose }: Props) {
  const t = useText(account);
  const [step, go] = useState(1);
  const [codes, setCodes] = useState<string[]>();
  // Never kept: another opening of the dialog gets another secret.
  const setup = useQuery({
    queryKey: ["totp-setup"],
    queryFn: () => client.post("/v1/mfa/totp/setup", { body: {} }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  });
  const enable = async (code: string) =>
    setCodes((await client.post("/v1/mfa/totp/enable", { body: { code } })).backup_codes);
  const saved = () => void client.reloadUser().finally(onClose);
  return (
    <Dialog title={t("setup.title")} onClose={onClose} mustBeAnswered={codes !== undefined}>
      <p className="muted small">{t("setup.step", { step: codes ? 3 : step })}</p>
      {codes ? (
        <Codes name={user.name} codes={codes} onSaved={saved} />
      ) : (
        <Loaded query={setup} data={setup.data} shape={<div className="qr" aria-busy="true" />}>
          {(data) =>
            step === 1 ? <Scan setup={data} onNext={() => go(2)} /> : <Type onBack={() => go(1)} onCode={enable} />
          }
        </Loaded>
      )}
    </Dialog>
  );
}
