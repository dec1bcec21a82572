// What stands where content will be: nothing yet, still loading, or a failure with its way out.
import { type ReactNode, useEffect, useState } from "react";
import { Failure } from "../api/failure.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";
import { useDuration } from "./time.tsx";

/** An empty list: what will be here, and the one thing to do. */
export function EmptyState({ title, children, action }: { title: string; children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      <p className="muted">{children}</p>
      {action}
    </div>
  );
}

/** The shape of what is loading, after 300 ms. */
export function Skeleton({ lines = 3, cards = 0 }: { lines?: number; cards?: number }) {
  const t = useText(core);
  return (
    <div>
      <p className="visually-hidden" role="status">
        {t("loading")}
      </p>
      <div className="skeleton" aria-hidden="true">
        {Array.from({ length: cards || lines }, (_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike and never move.
          <div key={index} className={cards ? "skeleton-card" : "skeleton-line"} />
        ))}
      </div>
    </div>
  );
}

/** The tone of a notice or a state: `danger` is for money that is stopped, and for failures. */
export type Tone = "neutral" | "accent" | "success" | "warning" | "danger";

const ICON: Record<Tone, IconName> = {
  neutral: "info",
  accent: "info",
  success: "check",
  warning: "warning",
  danger: "stop",
};

interface NoticeProps {
  tone?: Tone;
  title?: string;
  /** Whether it appears in answer to something, and is to be read out. */
  isNews?: boolean;
  children?: ReactNode;
}

/** Something to know, with what can be done about it inside. */
export function Notice({ tone = "neutral", title, isNews, children }: NoticeProps) {
  return (
    <div className={`notice tone-${tone}`} role={isNews ? (tone === "danger" ? "alert" : "status") : undefined}>
      <Icon name={ICON[tone]} />
      <div className="notice-body">
        {title && <p className="notice-title">{title}</p>}
        {children}
      </div>
    </div>
  );
}

/** Seconds until a time of this page's clock, counted down; 0 once it is over. */
export function useSecondsUntil(time: number | undefined): number {
  const left = () => (time === undefined ? 0 : Math.max(0, Math.ceil((time - Date.now()) / 1000)));
  const [seconds, setSeconds] = useState(left);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `left` is what `time` makes it.
  useEffect(() => {
    setSeconds(left());
    if (time === undefined) return;
    const tick = setInterval(() => setSeconds(left()), 250);
    return () => clearInterval(tick);
  }, [time]);
  return seconds;
}

interface ErrorNoticeProps {
  error: unknown;
  onRetry?: () => void;
  title?: string;
  /** Whether the request was to change something. */
  isWrite?: boolean;
}

/** A failure: what happened, whether anything was changed, and the retry, from when it makes sense. */
export function ErrorNotice({ error, onRetry, title, isWrite }: ErrorNoticeProps) {
  const t = useText(core);
  const duration = useDuration();
  const failure = Failure.of(error);
  const wait = useSecondsUntil(failure.retryAt);
  const about = failure.detail ?? t(failure.textKey);
  return (
    <Notice tone="danger" isNews title={title ?? about}>
      {title && <p>{about}</p>}
      {isWrite && (
        <p className="small">{t(failure.changed === "nothing" ? "error.nothingChanged" : "error.perhapsChanged")}</p>
      )}
      {onRetry ? (
        <Button small busy={wait > 0} onClick={onRetry}>
          {wait > 0 ? t("retryIn", { time: duration(wait) }) : t("retry")}
        </Button>
      ) : (
        wait > 0 && <p aria-hidden="true">{t("retryIn", { time: duration(wait) })}</p>
      )}
      {failure.isOurs && failure.requestId && (
        <p className="small muted mono">{t("error.requestId", { id: failure.requestId })}</p>
      )}
    </Notice>
  );
}
