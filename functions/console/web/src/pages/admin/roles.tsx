// Roles with what each may do, to be read and to be chosen.

import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { admin } from "../../messages/admin/index.ts";
import { useText } from "../../messages/catalogue.ts";
import { client, type Schemas } from "../../session/client.ts";
import { useScopeWords } from "../scope-words.ts";

type Role = Schemas["RoleItem"];

/** All roles of the policy. They change with a deployment, hardly while a page is open. */
export function useRoles() {
  return useQuery({ queryKey: ["roles"], queryFn: () => client.get("/v1/admin/roles"), staleTime: 600_000 });
}

/** Returns what a role may do, in a sentence. */
export function useRoleWords(): (role: Role) => string {
  const t = useText(admin);
  const words = useScopeWords();
  return ({ permissions, services }) => {
    if (permissions.includes("*:*")) return words("*:*");
    if (permissions.length === 0) return t("roles.nothing");
    // What is part of a permission for the whole resource needs no mention.
    const telling = permissions.filter(
      (each) => each.endsWith(":*") || !permissions.includes(`${each.split(":")[0]}:*`),
    );
    const may = telling.map(words).join(", ");
    // A service of which everything is permitted has been named.
    const others = services.filter((service) => !permissions.includes(`${service}:*`));
    const of = others.includes("*") ? t("roles.everyService") : others.join(", ");
    return others.length > 0 ? `${may}. ${t("roles.services", { services: of })}` : may;
  };
}

/** Checkboxes for roles, named `roles`. */
export function RoleChoice({ chosen, legend, error }: RoleChoiceProps) {
  const words = useRoleWords();
  const roles = useRoles().data ?? [];
  return (
    <fieldset className="stack role-choice">
      <legend className="field-label">{legend}</legend>
      {error && <p className="field-error">{error}</p>}
      {roles.map((role) => (
        <label key={role.role} className="check">
          <input type="checkbox" name="roles" value={role.role} defaultChecked={chosen.includes(role.role)} />
          <span>{role.role}</span>
          <span className="field-hint">{words(role)}</span>
        </label>
      ))}
    </fieldset>
  );
}

interface RoleChoiceProps {
  chosen: readonly string[];
  legend: string;
  error?: string | undefined;
}

/** Every role and what it may do. */
export function RoleList() {
  const words = useRoleWords();
  const roles = useRoles().data ?? [];
  return (
    <dl className="facts">
      {roles.map((role) => (
        <Fragment key={role.role}>
          <dt>{role.role}</dt>
          <dd>{words(role)}</dd>
        </Fragment>
      ))}
    </dl>
  );
}
