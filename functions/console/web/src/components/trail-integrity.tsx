// Since when the reader's own trail is as it was written, as the service finds when it is asked.
import { useQuery } from "@tanstack/react-query";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { Notice } from "./states.tsx";
import { absolute } from "./time.tsx";

/** One sentence, or a notice where something was changed; nothing where the service cannot say. */
export function TrailIntegrity() {
  const t = useText(core);
  const read = () => client.get("/v1/audit/integrity");
  const { data } = useQuery({ queryKey: ["trail-integrity"], queryFn: read, staleTime: 60_000 });
  if (!data) return null;
  const date = data.whole_since && absolute(Date.parse(data.whole_since));
  if (data.status === "damaged") {
    return (
      <Notice tone="danger" title={t("trail.damaged")}>
        <p>{date ? t("trail.damagedBefore", { date }) : t("trail.damagedLast")}</p>
      </Notice>
    );
  }
  return date ? <p className="muted small">{t("trail.whole", { date })}</p> : null;
}
