// The steps of setting an authenticator app up, wherever it is done: the picture to scan, and the first code.
import encodeQR from "qr";
import { useState } from "react";
import type { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { CodeField, plainCode } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { Secret } from "../../components/secret.tsx";
import { account } from "../../messages/account/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { core } from "../../messages/core/index.ts";
import type { Schemas } from "../../session/client.ts";

/** The secret as a picture, or to be typed. */
export function Scan({ setup, onNext }: { setup: Schemas["SetUpTotpResponse"]; onNext: () => void }) {
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

/** The first code, which turns the app on. */
export function Type({ onBack, onCode }: { onBack: () => void; onCode: (code: string) => Promise<void> }) {
  const t = useText(account);
  const c = useText(core);
  const form = useForm((data) => onCode(plainCode(String(data.get("code")))), place);
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
