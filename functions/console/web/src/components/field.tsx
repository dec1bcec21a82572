// Fields of forms: a label above, what is wrong below and tied to the field, and nothing that a password manager stumbles on.
import { type InputHTMLAttributes, type ReactNode, type Ref, useId, useState } from "react";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

/** What a control inside of a [`Field`] is given. */
export interface ControlProps {
  id: string;
  className: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  label: string;
  hint?: ReactNode;
  /** What is wrong with the value; focus goes to the first field that has one. */
  error?: string | undefined;
  /** Stands at the other end of the label's line. */
  aside?: ReactNode;
  /** Stands under the control, for example a link that belongs to it. */
  below?: ReactNode;
  isOptional?: boolean;
  children: (control: ControlProps) => ReactNode;
}

/** A label, a control and what there is to say about it. */
export function Field({ label, hint, error, aside, below, isOptional, children }: FieldProps) {
  const t = useText(core);
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <div className="field-top">
        <label className="field-label" htmlFor={id}>
          {label}
          {isOptional && <span className="muted"> ({t("optional")})</span>}
        </label>
        {aside}
      </div>
      {hint && (
        <p className="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {children({
        id,
        className: "input",
        "aria-describedby": described || undefined,
        "aria-invalid": error ? true : undefined,
      })}
      {error && (
        <p className="field-error" id={`${id}-error`}>
          <Icon name="stop" size={16} />
          {error}
        </p>
      )}
      {below}
    </div>
  );
}

type TextFieldProps = Omit<FieldProps, "children"> &
  Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "id"> & { ref?: Ref<HTMLInputElement> };

/** A field of one line. */
export function TextField({ label, hint, error, aside, below, isOptional, ...input }: TextFieldProps) {
  return (
    <Field {...{ label, hint, error, aside, below, isOptional }}>
      {(control) => <input {...input} {...control} />}
    </Field>
  );
}

/** A password, which can be looked at. `autoComplete` says whether it is the present one or a new one. */
export function PasswordField(
  props: Omit<TextFieldProps, "type" | "autoComplete"> & { autoComplete: "current-password" | "new-password" },
) {
  const t = useText(core);
  const [isShown, show] = useState(false);
  const { label, hint, error, aside, below, isOptional, ...input } = props;
  return (
    <Field {...{ label, hint, error, aside, below, isOptional }}>
      {(control) => (
        <div className="input-group">
          <input
            {...input}
            {...control}
            type={isShown ? "text" : "password"}
            spellCheck={false}
            autoCapitalize="none"
          />
          <Button
            look="quiet"
            small
            icon={isShown ? "eyeOff" : "eye"}
            aria-label={`${isShown ? t("hide") : t("show")}: ${label}`}
            onClick={() => show(!isShown)}
          />
        </div>
      )}
    </Field>
  );
}

/** A secret of somebody else, such as a broker's: no password manager shall offer to keep it or to fill it in. */
export function SecretField(props: Omit<TextFieldProps, "type" | "autoComplete">) {
  const { label, hint, error, aside, below, isOptional, ...input } = props;
  return (
    <Field {...{ label, hint, error, aside, below, isOptional }}>
      {(control) => (
        <input
          {...input}
          {...control}
          type="password"
          autoComplete="off"
          spellCheck={false}
          data-1p-ignore=""
          data-bwignore=""
          data-lpignore="true"
        />
      )}
    </Field>
  );
}

/** The code of a second factor: one field, whatever is pasted. `isBackup` is for codes with letters. */
export function CodeField(
  props: Omit<TextFieldProps, "type" | "autoComplete" | "inputMode" | "label"> & { label?: string; isBackup?: boolean },
) {
  const t = useText(core);
  const { label = t("code.label"), hint, error, aside, below, isOptional, isBackup = false, ...input } = props;
  return (
    <Field {...{ label, hint, error, aside, below, isOptional }}>
      {(control) => (
        <input
          name="code"
          required
          {...input}
          {...control}
          className="input input-code"
          type="text"
          autoComplete="one-time-code"
          inputMode={isBackup ? "text" : "numeric"}
          autoCapitalize="none"
          spellCheck={false}
          maxLength={64}
        />
      )}
    </Field>
  );
}

/** A code as the service takes it: without the spaces that people and apps put in. */
export function plainCode(typed: string): string {
  return typed.replace(/\s+/g, "");
}

/** The name under which a password manager files a password, on forms that do not ask for it. */
export function HiddenUsername({ value }: { value: string }) {
  return (
    <input
      className="visually-hidden"
      type="text"
      name="username"
      autoComplete="username"
      value={value}
      readOnly
      tabIndex={-1}
      aria-hidden="true"
    />
  );
}
