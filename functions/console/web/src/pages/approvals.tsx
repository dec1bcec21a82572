// Orders that wait for the person: each in words that the service wrote, to be approved or refused on the phone.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "../components/button.tsx";
import { Card } from "../components/card.tsx";
import { Loaded } from "../components/loaded.tsx";
import { EmptyState, Notice } from "../components/states.tsx";
import { Time } from "../components/time.tsx";
import { Page } from "../frame/page.tsx";
import { approvals } from "../messages/approvals/index.ts";
import { useText } from "../messages/catalogue.ts";
import { client } from "../session/client.ts";
import { type Approval, Approve, Refuse } from "./approvals/decide.tsx";

/** The cache key of what waits. */
export const APPROVALS = ["approvals"] as const;
/** Milliseconds after which the page looks again: whoever asks does not wait for a reload. */
const EVERY = 5_000;

type Done = "approved" | "refused";

/** The queue, the oldest first: it ends first. */
export default function Approvals() {
  const t = useText(approvals);
  const cache = useQueryClient();
  const query = useQuery({
    queryKey: APPROVALS,
    queryFn: () => client.get("/v1/approvals", { query: { status: "pending" } }),
    refetchInterval: EVERY,
  });
  const [open, setOpen] = useState<{ approval: Approval; refuses: boolean }>();
  const [done, setDone] = useState<Done>();
  const close = async (how?: Done) => {
    setOpen(undefined);
    setDone(how);
    await cache.invalidateQueries({ queryKey: APPROVALS });
  };
  return (
    <Page title={t("title")}>
      <p className="muted reading">{t("about")}</p>
      {done && (
        <Notice tone="success" isNews>
          {t(done)}
        </Notice>
      )}
      <Loaded query={query} data={query.data?.items}>
        {(items) =>
          items.length === 0 ? (
            <EmptyState title={t("none")}>{t("noneBody")}</EmptyState>
          ) : (
            items.toReversed().map((approval, place) => (
              <Waiting
                key={approval.approval_id}
                approval={approval}
                isNext={place === 0}
                onDecide={(refuses) => {
                  setDone(undefined);
                  setOpen({ approval, refuses });
                }}
              />
            ))
          )
        }
      </Loaded>
      {open?.refuses === false && <Approve approval={open.approval} onClose={close} />}
      {open?.refuses && <Refuse approval={open.approval} onClose={close} />}
    </Page>
  );
}

interface WaitingProps {
  approval: Approval;
  /** Whether it is the one thing to do next. */
  isNext: boolean;
  onDecide: (refuses: boolean) => void;
}

function Waiting({ approval, isNext, onDecide }: WaitingProps) {
  const t = useText(approvals);
  const who = useWho(approval.asked_by);
  const order = approval.display;
  return (
    <Card title={t("order", { tag: approval.order_tag })} about={t("by", { who })}>
      <p className="reading">{order}</p>
      <p className="muted">
        {t("ends")} <Time value={approval.expires_at} />
      </p>
      <div className="row">
        <Button
          look={isNext ? "primary" : "plain"}
          aria-label={t("approveOne", { order })}
          onClick={() => onDecide(false)}
        >
          {t("approve")}
        </Button>
        <Button aria-label={t("refuseOne", { order })} onClick={() => onDecide(true)}>
          {t("refuse")}
        </Button>
      </div>
    </Card>
  );
}

/** Who asked, in words. */
function useWho(by: string): string {
  const t = useText(approvals);
  const [kind, name = ""] = by.split(":");
  if (kind === "service") return t("by.service", { name });
  return t(kind === "key" ? "by.key" : "by.self");
}
