// A password that is being chosen: the same field, hint and place for refusals wherever that happens.
import type { Failure } from "../api/failure.ts";
import { useText } from "../messages/catalogue.ts";
import { core } from "../messages/core/index.ts";
import { PasswordField } from "./field.tsx";
import type { FormState } from "./form.tsx";

interface Props {
  form: FormState;
  /** Of the field and of the member of the request. */
  name?: "new_password" | "password";
  /** "New password" where nothing is said. */
  label?: string;
  defaultValue?: string;
  autoFocus?: boolean;
}

/** The field. */
export function NewPasswordField({ form, name = "new_password", label, defaultValue, autoFocus = false }: Props) {
  const t = useText(core);
  return (
    <PasswordField
      label={label ?? t("password.new")}
      name={name}
      autoComplete="new-password"
      hint={t("password.hint")}
      required
      defaultValue={defaultValue}
      autoFocus={autoFocus}
      error={form.error(`/${name}`)}
    />
  );
}

/** Puts a password that is refused as a whole at its field. */
export function placeOfNewPassword(failure: Failure, name = "new_password"): string | undefined {
  return failure.code === "weak_password" && failure.errors.length === 0 ? `/${name}` : undefined;
}
