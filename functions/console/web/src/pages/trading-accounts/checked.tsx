// What a broker answered about a key, with the way on where there is one.
import { Notice } from "../../components/states.tsx";
import { brokerName } from "../../frame/session-clock.tsx";
import { useText } from "../../messages/catalogue.ts";
import { trading } from "../../messages/trading/index.ts";
import type { Verification } from "./state.ts";

/** The broker's answer. Its advice is the service's own sentence. */
export function Checked({ broker, answer }: { broker: string; answer: Verification }) {
  const t = useText(trading);
  const name = brokerName(broker);
  if (answer.status === "active") return <Notice tone="success" isNews title={t("checked.active", { broker: name })} />;
  return (
    <Notice
      tone={answer.status === "rejected" ? "danger" : "warning"}
      isNews
      title={t("checked.other", { broker: name })}
    >
      {answer.reason && <p>{answer.reason}</p>}
    </Notice>
  );
}
