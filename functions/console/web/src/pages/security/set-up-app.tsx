// An authenticator app in three steps: scan, type, save the codes. One thing at a time.
import { useQuery } from "@tanstack/react-query";
import encodeQR from "qr";
import { useState } from "react";
import type { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { Dialog } from "../../components/dialog.tsx";
import { CodeField, plainCode } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { Loaded } from "../../components/loaded.tsx";
import { Secret } from "../../components/secret.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import { client, type Schemas } from "../../session/client.ts";
import { Codes } from "./backup-codes.tsx";

type Setup = Schemas["SetUpTotpResponse"];

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
  const saved = () => void client.reloadUser().finally(onClose);
  return (
    <Dialog title={t("setup.title")} onClose={onClose} mustBeAnswered={codes !== undefined}>
      <p className="muted small">{t("setup.step", { step: codes ? 3 : step })}</p>
      {codes ? (
        <Codes name={user.name} codes={codes} onSaved={saved} />
      ) : (
        <Loaded query={setup} data={setup.data} shape={<div className="qr" aria-busy="true" />}>
          {(data) =>
            step === 1 ? <Scan setup={data} onNext={() => go(2)} /> : <Type onBack={() => go(1)} onCodes={setCodes} />
          }
        </Loaded>
      )}
    </Dialog>
  );
}

function Scan({ setup, onNext }: { setup: Setup; onNext: () => void }) {
  const t = useText(account);
  const [isTyped, type] = useState(false);
  const secret = setup.secret.replace(/(.{4})(?=.)/g, "$1 ");
  return (
    <>
      <p>{t("setup.scan")}</p>
      <QrCode text={setup.otpauth_uri} label={t("setup.qr")} />
      {isTyped ? (
        <div className="stack-tight">
          <p>{t("setup.secret")}</p>
          <Secret value={secret} label={t("setup.secret")} />
        </div>
      ) : (
        <div>
          <TextButton onClick={() => type(true)}>{t("setup.cannotScan")}</TextButton>
        </div>
      )}
      <div className="actions">
        <Button look="primary" onClick={onNext}>
          {t("setup.next")}
        </Button>
      </div>
    </>
  );
}

/** Drawn here, so that the secret goes to nobody; dark on light in every theme, as cameras want it. */
function QrCode({ text, label }: { text: string; label: string }) {
  const rows = encodeQR(text, "raw", { border: 2, ecc: "medium" });
  const path = rows.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg
      className="qr"
      viewBox={`0 0 ${rows.length} ${rows.length}`}
      role="img"
      aria-label={label}
      shapeRendering="crispEdges"
    >
      <rect width="100%" height="100%" fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

function Type({ onBack, onCodes }: { onBack: () => void; onCodes: (codes: string[]) => void }) {
  const t = useText(account);
  const c = useText(core);
  const form = useForm(async (data) => {
    const body = { code: plainCode(String(data.get("code"))) };
    onCodes((await client.post("/v1/mfa/totp/enable", { body })).backup_codes);
  }, place);
  return (
    <Form form={form}>
      <p>{t("setup.type")}</p>
      <CodeField autoFocus error={form.error("/code") && t("setup.wrong")} />
      <div className="actions">
        <Button onClick={onBack}>{c("back")}</Button>
        <Button type="submit" look="primary" busy={form.isBusy || form.wait > 0}>
          {t("setup.confirm")}
        </Button>
      </div>
    </Form>
  );
}

function place(failure: Failure): string | undefined {
  return failure.code === "invalid_code" ? "/code" : undefined;
}
