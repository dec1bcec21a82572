// A question before something that cannot be undone: names the thing, says what happens, and asks for a proof where the
// service wants one.
import type { ReactNode } from "react";
import type { Failure } from "../api/failure.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";
import { Dialog } from "./dialog.tsx";
import { Form, type FormState, useForm } from "./form.tsx";

interface ConfirmProps {
  title: string;
  body: ReactNode;
  /** What the button says: the deed itself. */
  verb: string;
  isDangerous?: boolean;
  /** Does it, and closes the dialog or puts another in its place. */
  onConfirm: (data: FormData) => Promise<void>;
  onClose: () => void;
  /** Fields of a proof; `place` says to which of them an error without a pointer belongs. */
  fields?: (form: FormState) => ReactNode;
  place?: (failure: Failure) => string | undefined;
}

/** Asks, and does it; a failure stays in the dialog with what was typed. */
export function Confirm({ title, body, verb, isDangerous, onConfirm, onClose, fields, place }: ConfirmProps) {
  const t = useText(core);
  const form = useForm(onConfirm, place);
  return (
    <Dialog title={title} onClose={onClose}>
      <Form form={form}>
        <p>{body}</p>
        {fields?.(form)}
        <div className="actions">
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button
            type="submit"
            look={isDangerous ? "danger" : "primary"}
            busy={form.isBusy || form.wait > 0}
            autoFocus={!fields}
          >
            {verb}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}
