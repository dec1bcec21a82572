// Forms. What is typed stays in the fields, which no failure touches; what is wrong stands at its field, and the focus goes there.
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { Failure, isDismissed } from "../api/failure.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { client } from "../session/client.ts";
import { ErrorNotice, useSecondsUntil } from "./states.tsx";

/** A form that is being filled in, sent, or was refused. */
export interface FormState {
  isBusy: boolean;
  /** Why the last try failed, where it is about no field. */
  failure: Failure | undefined;
  /** Seconds until the next try makes sense. */
  wait: number;
  /** What is wrong with the value at this JSON Pointer. */
  error: (pointer: string) => string | undefined;
  submit: (event: FormEvent<HTMLFormElement>) => void;
  /** One key for each set of values: a retry of the same is recognised by the service. */
  idempotencyKey: (data: FormData) => string;
}

/** Sends a form. `send` throws a `Failure`; `place` says where one without pointers belongs. */
export function useForm(
  send: (data: FormData) => Promise<void>,
  place?: (failure: Failure) => string | undefined,
): FormState {
  const t = useText(core);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const wait = useSecondsUntil(failure?.retryAt);
  const element = useRef<HTMLFormElement>(undefined);
  const key = useRef({ of: "", is: "" });
  const placed = failure && place?.(failure);
  const isPlaced = failure !== undefined && (placed !== undefined || failure.errors.length > 0);

  useEffect(() => {
    if (failure) element.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [failure]);

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (isBusy || wait > 0) return;
    element.current = event.currentTarget;
    setBusy(true);
    setFailure(undefined);
    send(new FormData(event.currentTarget))
      // Whoever closed the browser's dialog has done nothing wrong, and sees the form as it was.
      .catch((error: unknown) => isDismissed(error) || setFailure(Failure.of(error)))
      .finally(() => setBusy(false));
  };

  return {
    isBusy,
    failure: isPlaced ? undefined : failure,
    wait,
    error: (pointer) => {
      if (!failure) return undefined;
      if (placed === pointer) return failure.detail ?? t(failure.textKey);
      return failure.errors.find((each) => each.pointer === pointer)?.detail;
    },
    submit,
    idempotencyKey: (data) => {
      const of = JSON.stringify([...data]);
      if (key.current.of !== of) key.current = { of, is: client.idempotencyKey() };
      return key.current.is;
    },
  };
}

/** The form itself, with what went wrong above its fields. */
export function Form({ form, onChange, children }: { form: FormState; onChange?: () => void; children: ReactNode }) {
  return (
    <form className="stack" method="post" aria-busy={form.isBusy} onSubmit={form.submit} onChange={onChange}>
      {form.failure && <ErrorNotice error={form.failure} isWrite />}
      {children}
    </form>
  );
}
