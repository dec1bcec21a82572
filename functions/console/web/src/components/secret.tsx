// Something that is copied by button: a secret that is shown once, an id.
import { useEffect, useState } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";

/** Copies a text, and says for a moment that it did. */
export function CopyButton({ value, label, small }: { value: string; label?: string; small?: boolean }) {
  const t = useText(core);
  const [outcome, setOutcome] = useState<"copied" | "copyFailed">();
  useEffect(() => {
    if (outcome !== "copied") return;
    const over = setTimeout(() => setOutcome(undefined), 4000);
    return () => clearTimeout(over);
  }, [outcome]);
  const copy = () =>
    navigator.clipboard.writeText(value).then(
      () => setOutcome("copied"),
      () => setOutcome("copyFailed"),
    );
  return (
    <>
      <Button small={small} icon={outcome === "copied" ? "check" : "copy"} onClick={copy}>
        {outcome === "copied" ? t("copied") : (label ?? t("copy"))}
      </Button>
      <span className={outcome === "copyFailed" ? "small" : "visually-hidden"} role="status">
        {outcome ? t(outcome) : ""}
      </span>
    </>
  );
}

/** A secret in full, to be copied now. */
export function Secret({ value, label }: { value: string; label: string }) {
  return (
    <div className="secret">
      <span className="visually-hidden">{label}: </span>
      <code>{value}</code>
      <CopyButton value={value} small />
    </div>
  );
}
