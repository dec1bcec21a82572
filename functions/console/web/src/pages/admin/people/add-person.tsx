// Adding a person: by a mailed link with which they choose a password themselves, or with a first password.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { Button, ButtonLink } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { PasswordField, TextField } from "../../../components/field.tsx";
import { Form, type FormState, useForm } from "../../../components/form.tsx";
import { Notice } from "../../../components/states.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { core } from "../../../messages/core/index.ts";
import { client, type Schemas } from "../../../session/client.ts";
import { RoleChoice } from "../roles.tsx";

type Person = Schemas["User"];

/** Who is invited has a password that nobody knows until the link chose another. */
function unknownPassword(): string {
  return `${crypto.randomUUID()}${crypto.randomUUID()}`;
}

function useAdding(isInvited: boolean, onUnsent: (person: Person) => void) {
  const go = useNavigate();
  const queries = useQueryClient();
  return useForm(async (data) => {
    const typed = (name: string) => String(data.get(name) ?? "").trim() || null;
    const body = {
      name: typed("name") ?? "",
      email: typed("email"),
      username: typed("username"),
      password: isInvited ? unknownPassword() : String(data.get("password")),
      roles: data.getAll("roles").map(String),
    };
    const person = await client.post("/v1/admin/users", { body });
    await queries.invalidateQueries({ queryKey: ["people"] });
    if (isInvited) {
      const params = { id: person.user_id };
      const isSent = await client.post("/v1/admin/users/{id}/send-reset", { params }).then(
        () => true,
        () => false,
      );
      if (!isSent) return onUnsent(person);
    }
    go(`/admin/people/${person.user_id}`);
  });
}

/** The dialog. */
export function AddPerson({ onClose }: { onClose: () => void }) {
  const t = useText(admin);
  const words = useText(core);
  const [isInvited, invite] = useState(true);
  const [unsent, setUnsent] = useState<Person>();
  const form = useAdding(isInvited, setUnsent);
  if (unsent) return <Unsent person={unsent} onClose={onClose} />;
  return (
    <Dialog title={t("add.title")} onClose={onClose} isWide>
      <Form form={form}>
        <Ways isInvited={isInvited} onChoose={invite} />
        <NameFields form={form} isInvited={isInvited} />
        <RoleChoice chosen={["user"]} legend={t("add.roles")} error={form.error("/roles")} />
        <div className="actions">
          <Button onClick={onClose}>{words("cancel")}</Button>
          <Button type="submit" look="primary" busy={form.isBusy}>
            {t(isInvited ? "add.submitInvite" : "add.submit")}
          </Button>
        </div>
      </Form>
    </Dialog>
  );
}

function Ways({ isInvited, onChoose }: { isInvited: boolean; onChoose: (isInvited: boolean) => void }) {
  const t = useText(admin);
  return (
    <fieldset className="stack">
      <legend className="visually-hidden">{t("add.how")}</legend>
      {(["invite", "password"] as const).map((way) => (
        <label key={way} className="check">
          <input
            type="radio"
            name="way"
            checked={isInvited === (way === "invite")}
            onChange={() => onChoose(way === "invite")}
          />
          <span>{t(`add.${way}`)}</span>
          <span className="field-hint">{t(`add.${way}Hint`)}</span>
        </label>
      ))}
    </fieldset>
  );
}

function NameFields({ form, isInvited }: { form: FormState; isInvited: boolean }) {
  const t = useText(admin);
  return (
    <>
      <TextField
        label={t("add.name")}
        name="name"
        required
        maxLength={200}
        autoComplete="off"
        error={form.error("/name")}
      />
      <TextField
        label={t("add.email")}
        name="email"
        type="email"
        required={isInvited}
        isOptional={!isInvited}
        autoComplete="off"
        error={form.error("/email")}
      />
      <TextField
        label={t("add.username")}
        name="username"
        isOptional
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        error={form.error("/username")}
      />
      {!isInvited && (
        <PasswordField
          label={t("add.firstPassword")}
          name="password"
          autoComplete="new-password"
          required
          error={form.error("/password")}
        />
      )}
    </>
  );
}

function Unsent({ person, onClose }: { person: Person; onClose: () => void }) {
  const t = useText(admin);
  const { name, user_id } = person;
  return (
    <Dialog title={t("add.title")} onClose={onClose}>
      <Notice tone="warning" isNews>
        <p>{t("add.notSent", { name })}</p>
      </Notice>
      <div className="actions">
        <ButtonLink to={`/admin/people/${user_id}`} look="primary">
          {t("add.open", { name })}
        </ButtonLink>
      </div>
    </Dialog>
  );
}
