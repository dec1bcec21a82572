// Permissions in words: `portfolio:read` is "Read portfolio".
import { account } from "../messages/account/index.ts";
import { type Translate, useText } from "../messages/catalogue.ts";

type AccountKey = keyof (typeof account)["english"];

const VERBS = new Set(["read", "write", "create", "delete", "execute", "manage"]);

function inWords(t: Translate<AccountKey>, scope: string): string {
  const [name = "", action = ""] = scope.split(":");
  const resource = name.replaceAll(/[-_]/g, " ");
  if (scope === "*:*" || scope === "*") return t("scope.everything");
  if (action === "*") return t("scope.all", { resource });
  if (VERBS.has(action)) return t(`scope.${action}` as AccountKey, { resource });
  const words = action.replaceAll(/[-_]/g, " ");
  return t("scope.other", { resource, action: words.charAt(0).toUpperCase() + words.slice(1) });
}

/** Returns what says a permission in words. */
export function useScopeWords(): (scope: string) => string {
  const t = useText(account);
  return (scope) => inWords(t, scope);
}
