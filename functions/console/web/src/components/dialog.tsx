// A dialog on the browser's own element, which keeps the focus inside and gives it back.
import { type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";

interface DialogProps {
  title: string;
  onClose: () => void;
  isWide?: boolean;
  /** Whether it stays until one of its buttons is pressed: no Escape, no cross, no click beside it. */
  mustBeAnswered?: boolean;
  children: ReactNode;
}

/** A dialog that is open for as long as it is rendered. */
export function Dialog({ title, onClose, isWide, mustBeAnswered, children }: DialogProps) {
  const t = useText(core);
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  // A field can take the focus only once the dialog is open, so its content comes after that.
  const [isOpen, setOpen] = useState(false);
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog && !dialog.open) dialog.showModal();
    setOpen(true);
    return () => dialog?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click beside the dialog is the mouse's form of Escape.
    <dialog
      ref={element}
      className={isWide ? "dialog dialog-wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!mustBeAnswered) onClose();
      }}
      onClick={(event) => !mustBeAnswered && event.target === element.current && onClose()}
    >
      {isOpen && (
        <div className="dialog-body">
          <div className="dialog-head">
            <h2 id={id}>{title}</h2>
            {!mustBeAnswered && <Button look="quiet" small icon="cross" aria-label={t("close")} onClick={onClose} />}
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
