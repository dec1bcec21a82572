// The second step of a sign-in, where there is a second factor.
import { useState } from "react";
import { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { CodeField, HiddenUsername } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { useDuration } from "../../components/time.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { client } from "../../session/client.ts";

interface Props {
  name: string;
  onLate: () => void;
}

/** One field for the code; the name of who signs in stays in view. */
export function CodeStep({ name, onLate }: Props) {
  const t = useText(signIn);
  const duration = useDuration();
  const [isBackup, setBackup] = useState(false);
  const form = useForm(async (data) => {
    try {
      await client.verifyMfa(String(data.get("code")));
    } catch (error) {
      if (Failure.of(error).code !== "invalid_session_token") throw error;
      onLate();
    }
  }, misplaced);
  return (
    <GateCard title={t("code.title")} about={t("code.signingInAs", { name: name })}>
      <Form form={form}>
        <HiddenUsername value={name} />
        <CodeField
          key={String(isBackup)}
          label={isBackup ? t("code.backup") : undefined}
          hint={t(isBackup ? "code.hintBackup" : "code.hint")}
          isBackup={isBackup}
          autoFocus
          error={form.error("/code") && t("code.wrong")}
        />
        <Button type="submit" look="primary" wide busy={form.isBusy || form.wait > 0}>
          {form.wait > 0 ? t("login.tooMany", { time: duration(form.wait) }) : t("code.submit")}
        </Button>
      </Form>
      <div className="row-between small">
        <TextButton onClick={() => setBackup(!isBackup)}>{t(isBackup ? "code.useApp" : "code.useBackup")}</TextButton>
        <TextButton onClick={() => client.cancelLogin()}>{t("code.otherName")}</TextButton>
      </div>
    </GateCard>
  );
}

function misplaced(failure: Failure): string | undefined {
  return failure.code === "invalid_code" ? "/code" : undefined;
}
