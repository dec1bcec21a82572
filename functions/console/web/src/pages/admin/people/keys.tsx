// The table of people by keyboard: / searches, j and k move, Enter opens (as the table does it), ? tells.
import { Fragment, type RefObject, useEffect, useState } from "react";
import { Dialog } from "../../../components/dialog.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";

/** Follows the keys while the table is shown, outside of fields and dialogs. */
export function useKeys(root: RefObject<HTMLElement | null>) {
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const isElsewhere = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
      if (isElsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "?") setShown(true);
      else if (event.key === "/") root.current?.querySelector<HTMLElement>("[data-search]")?.focus();
      else if (event.key === "j") move(root.current, 1);
      else if (event.key === "k") move(root.current, -1);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [root]);
  return { isShown, show: () => setShown(true), hide: () => setShown(false) };
}

function move(root: HTMLElement | null, by: number): void {
  const rows = [...(root?.querySelectorAll<HTMLElement>("tbody tr") ?? [])];
  const current = rows.findIndex((row) => row.contains(document.activeElement));
  const next = current < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, current + by));
  rows[next]?.focus();
}

const KEYS = [
  ["/", "key.search"],
  ["j", "key.down"],
  ["k", "key.up"],
  ["Enter", "key.open"],
  ["?", "key.help"],
] as const;

/** The keys and what they do. */
export function KeyHelp({ onClose }: { onClose: () => void }) {
  const t = useText(admin);
  return (
    <Dialog title={t("people.keys")} onClose={onClose}>
      <dl className="key-list">
        {KEYS.map(([key, text]) => (
          <Fragment key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </Fragment>
        ))}
      </dl>
    </Dialog>
  );
}
