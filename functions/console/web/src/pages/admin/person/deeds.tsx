// What an administrator can do to an account. Each says what it is for, and before it happens what will follow from it.
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/confirm.tsx";
import { TextField } from "../../../components/field.tsx";
import { Notice } from "../../../components/states.tsx";
import { admin } from "../../../messages/admin/index.ts";
import { useText } from "../../../messages/catalogue.ts";
import { client, type Schemas } from "../../../session/client.ts";
import { RoleChoice } from "../roles.tsx";

type Person = Schemas["User"];
type Deed = "unlock" | "reset" | "verify" | "sessions" | "factor" | "roles" | "deactivate" | "activate" | "erase";

const DANGEROUS: ReadonlySet<Deed> = new Set<Deed>(["sessions", "factor", "deactivate", "erase"]);

/** Returns what can be done with the account as it is, what is asked for most often first. */
function possible(person: Person): Deed[] {
  const deeds: (Deed | false)[] = [
    "unlock",
    person.email !== null && person.email !== undefined && "reset",
    Boolean(person.email) && !person.email_verified && "verify",
    person.mfa_enabled && "factor",
    "roles",
    "sessions",
    person.status === "disabled" ? "activate" : "deactivate",
    "erase",
  ];
  return deeds.filter((deed) => deed !== false);
}

/** The list of deeds, and what came of the last one. */
export function Deeds({ person }: { person: Person }) {
  const t = useText(admin);
  const [doing, become] = useState<Deed>();
  const [done, setDone] = useState<Exclude<Deed, "erase">>();
  const facts = { name: person.name, email: person.email ?? "" };
  return (
    <section className="stack" aria-labelledby="deeds">
      <div className="stack-tight">
        <h2 id="deeds">{t("actions.title")}</h2>
        <p className="muted">{t("actions.about", facts)}</p>
        <div role="status">{done && <Notice tone="success" title={t(`done.${done}`, facts)} />}</div>
      </div>
      <ul className="deeds">
        {possible(person).map((deed) => (
          <li key={deed} className="deed">
            <div className="stack-tight">
              <h3>{t(`do.${deed}`)}</h3>
              <p className="muted small">{t(`why.${deed}`)}</p>
            </div>
            <Button onClick={() => become(deed)}>{t(`do.${deed}`)}</Button>
          </li>
        ))}
      </ul>
      {doing && (
        <DeedDialog
          deed={doing}
          person={person}
          onClose={() => become(undefined)}
          onDone={() => setDone(doing === "erase" ? undefined : doing)}
        />
      )}
    </section>
  );
}

interface DeedDialogProps {
  deed: Deed;
  person: Person;
  onClose: () => void;
  onDone: () => void;
}

function DeedDialog({ deed, person, onClose, onDone }: DeedDialogProps) {
  const t = useText(admin);
  const queries = useQueryClient();
  const go = useNavigate();
  const { name } = person;
  const facts = { name, email: person.email ?? "", who: person.email ?? person.username ?? person.user_id };
  const confirmed = async (data: FormData) => {
    if (deed === "erase" && String(data.get("typed")).trim() !== name.trim()) throw new NotTheName();
    await carryOut(deed, person.user_id, data);
    await queries.invalidateQueries();
    onDone();
    onClose();
    if (deed === "erase") go("/admin/people");
  };
  return (
    <Confirm
      title={deed === "roles" ? t("roles.title", { name }) : `${t(`do.${deed}`)}: ${name}`}
      body={deed === "roles" ? t("why.roles") : t(`ask.${deed}`, facts)}
      verb={t(deed === "roles" ? "roles.save" : `do.${deed}`)}
      isDangerous={DANGEROUS.has(deed)}
      onConfirm={confirmed}
      onClose={onClose}
      place={(failure) => (failure.cause instanceof NotTheName ? "/typed" : undefined)}
      fields={
        deed === "roles"
          ? (form) => <RoleChoice chosen={person.roles} legend={t("fact.roles")} error={form.error("/roles")} />
          : deed === "erase"
            ? (form) => (
                <TextField
                  label={t("erase.type", { name })}
                  name="typed"
                  required
                  autoComplete="off"
                  error={form.error("/typed") && t("erase.mismatch")}
                />
              )
            : undefined
      }
    />
  );
}

/** What was typed to confirm is not the name of the person. */
class NotTheName extends Error {}

function carryOut(deed: Deed, id: string, data: FormData): Promise<unknown> {
  const params = { id };
  const change = (body: Schemas["ChangeUserRequest"]) => client.patch("/v1/admin/users/{id}", { params, body });
  switch (deed) {
    case "unlock":
      return client.post("/v1/admin/users/{id}/unlock", { params });
    case "reset":
      return client.post("/v1/admin/users/{id}/send-reset", { params });
    case "verify":
      return client.post("/v1/admin/users/{id}/verify-email", { params });
    case "sessions":
      return client.post("/v1/admin/users/{id}/revoke-sessions", { params });
    case "factor":
      return client.post("/v1/admin/users/{id}/reset-mfa", { params });
    case "roles":
      return change({ roles: data.getAll("roles").map(String) });
    case "deactivate":
      return change({ status: "disabled" });
    case "activate":
      return change({ status: "active" });
    case "erase":
      return client.delete("/v1/admin/users/{id}", { params });
  }
}
