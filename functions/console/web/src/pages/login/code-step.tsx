// The second step of a sign-in, where there is a second factor.
import { useState } from "react";
import { Failure } from "../../api/failure.ts";
import { Button, TextButton } from "../../components/button.tsx";
import { CodeField, HiddenUsername, plainCode } from "../../components/field.tsx";
import { Form, useForm } from "../../components/form.tsx";
import { GateCard } from "../../components/gate-card.tsx";
import { useDuration } from "../../components/time.tsx";
import { useText } from "../../messages/catalogue.ts";
import { signIn } from "../../messages/sign-in/index.ts";
import { presentCode, type Step } from "./step.ts";

interface Props {
  step: Extract<Step, { at: "code" }>;
  go: (step: Step) => void;
}

/** One field for the code; the name of who signs in stays in view. */
export function CodeStep({ step, go }: Props) {
  const t = useText(signIn);
  const duration = useDuration();
  const [isBackup, setBackup] = useState(false);
  const form = useForm(async (data) => {
    try {
      await presentCode(step.token, plainCode(String(data.get("code"))));
    } catch (error) {
      if (Failure.of(error).code !== "invalid_session_token") throw error;
      go({ at: "password", failure: "too-late" });
    }
  }, misplaced);
  return (
    <GateCard title={t("code.title")} about={t("code.signingInAs", { name: step.name })}>
      <Form form={form}>
        <HiddenUsername value={step.name} />
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
        <TextButton onClick={() => go({ at: "password" })}>{t("code.otherName")}</TextButton>
      </div>
    </GateCard>
  );
}

function misplaced(failure: Failure): string | undefined {
  return failure.code === "invalid_code" ? "/code" : undefined;
}
