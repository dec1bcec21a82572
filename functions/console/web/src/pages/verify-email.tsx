// Confirming an address with the link that was mailed.
import { useEffect, useState } from "react";
import { Failure } from "../api/failure.ts";
import { ButtonLink } from "../components/button.tsx";
import { GateCard } from "../components/gate-card.tsx";
import { ErrorNotice, Skeleton } from "../components/states.tsx";
import { useText } from "../messages/catalogue.ts";
import { signIn } from "../messages/sign-in/index.ts";
import { client } from "../session/client.ts";
import { useMailToken } from "../session/mail-token.ts";

// A token works once: however often the page renders, it is sent once for each try.
const sent = new Map<string, Promise<unknown>>();

function confirm(token: string): Promise<unknown> {
  const known = sent.get(token);
  if (known) return known;
  const answer = client.post("/v1/auth/email/verify", { body: { token } });
  sent.set(token, answer);
  return answer;
}

type State = { is: "open" | "done" | "dead" } | { is: "failed"; error: unknown };

/** Confirms at once, and says what came of it. */
export default function VerifyEmail() {
  const t = useText(signIn);
  const token = useMailToken();
  const [state, become] = useState<State>({ is: "open" });
  const [tries, setTries] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another try sends it again.
  useEffect(() => {
    if (!token) return;
    confirm(token).then(
      () => become({ is: "done" }),
      (error) => become(Failure.of(error).code === "invalid_mail_token" ? { is: "dead" } : { is: "failed", error }),
    );
  }, [token, tries]);
  const retry = () => {
    if (token) sent.delete(token);
    become({ is: "open" });
    setTries(tries + 1);
  };
  const toLogin = (
    <ButtonLink to="/login" look="primary" wide>
      {t("reset.toLogin")}
    </ButtonLink>
  );
  if (!token)
    return (
      <GateCard title={t("reset.dead")} about={t("reset.missing")}>
        {toLogin}
      </GateCard>
    );
  if (state.is === "done")
    return (
      <GateCard title={t("verify.done")} about={t("verify.doneBody")}>
        {toLogin}
      </GateCard>
    );
  if (state.is === "dead")
    return (
      <GateCard title={t("reset.dead")} about={t("verify.deadBody")}>
        {toLogin}
      </GateCard>
    );
  return (
    <GateCard title={t("verify.title")} about={state.is === "open" ? t("verify.working") : undefined}>
      {state.is === "failed" ? <ErrorNotice error={state.error} onRetry={retry} /> : <Skeleton lines={2} />}
    </GateCard>
  );
}
