// What an administrator says of a freeze: why, in words for whoever is frozen, and until when.
import { Field, TextField } from "../../components/field.tsx";
import type { FormState } from "../../components/form.tsx";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";

const TERMS = ["forever", 604_800, 86_400, 3600] as const;

/** The two fields. `hint` says who reads the reason. */
export function FreezeFields({ form, hint }: { form: FormState; hint: string }) {
  const t = useText(admin);
  return (
    <>
      <TextField
        label={t("mark.reason")}
        hint={hint}
        name="reason"
        required
        maxLength={200}
        autoComplete="off"
        error={form.error("/reason")}
      />
      <Field label={t("mark.for")} error={form.error("/expires_in")}>
        {(control) => (
          <select {...control} name="term" defaultValue="">
            {TERMS.map((term) => (
              <option key={term} value={term === "forever" ? "" : term}>
                {t(term === "forever" ? "freeze.forever" : `mark.${term}`)}
              </option>
            ))}
          </select>
        )}
      </Field>
    </>
  );
}

/** What was said, as the service takes it. */
export function freezeIn(data: FormData): { reason: string; expires_in: number | undefined } {
  return { reason: String(data.get("reason")), expires_in: Number(data.get("term")) || undefined };
}
