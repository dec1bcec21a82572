// An event in words: what happened, to what, by whom, from where.
import type { TradingAccount } from "../../frame/trading-state.ts";
import { type Translate, useText } from "../../messages/catalogue.ts";
import { events } from "../../messages/events/index.ts";
import { browserAndSystem } from "../device-name.ts";
import { accountName } from "../trading-accounts/state.ts";
import { type AuditEvent, isEventType } from "./types.ts";

type Words = Translate<keyof (typeof events)["english"]>;

/** The texts of events. */
export function useEventText(): Words {
  return useText(events);
}

/** Returns what happened; the service's own word where there is none here. */
export function whatHappened(t: Words, type: string): string {
  return isEventType(type) ? t(`type.${type}`) : type;
}

/** Returns who did it. `isOwn` is for the reader's own trail. */
export function whoDidIt(t: Words, actor: string, isOwn: boolean): string {
  const [kind = "", ...rest] = actor.split(":");
  const name = rest.join(":");
  if (kind === "self") return t(isOwn ? "actor.self" : "actor.owner");
  if (kind === "service") return t("actor.service", { name });
  if (kind === "cli") return t("actor.cli", { name });
  return kind === "admin" || kind === "anonymous" ? t(`actor.${kind}`) : actor;
}

/** Returns the browser and the system of an event; nothing where it came from no browser that is known. */
export function program(t: Words, event: Pick<AuditEvent, "user_agent">): string | undefined {
  const { browser, system } = browserAndSystem(event.user_agent);
  return browser && system ? t("agent.on", { browser, system }) : (browser ?? system);
}

/** Returns what an event is about in a few words: a service and its purpose, an account, a key, roles. */
export function aboutWhat(t: Words, event: AuditEvent, accounts: readonly TradingAccount[]): string {
  const { details } = event;
  const account = accounts.find(({ account_id }) => account_id === event.target);
  const roles =
    details?.roles_after &&
    t("detail.roles", { before: list(t, details.roles_before), after: list(t, details.roles_after) });
  const object = account ? accountName(account) : isId(event.target) ? undefined : event.target;
  // Of a mark it is what the administrator wrote; why something was refused is among the particulars, and what became of
  // orders is said in numbers.
  const why = event.outcome === "refused" || event.type === "orders_cancelled" ? undefined : details?.reason;
  const { cancelled, failed } = details ?? {};
  const orders = typeof cancelled === "number" && t("detail.orders", { cancelled, failed: failed ?? 0 });
  const parts = [event.service, event.purpose, why, orders, details?.key_name, roles, details?.request, object];
  return parts.filter(Boolean).join(" · ");
}

/** Ids say nothing to people; the particulars of the event have them. */
function isId(target: string | null | undefined): boolean {
  return /^[a-z]+_[0-9a-f]{32}$/.test(target ?? "");
}

/** Returns names with commas between them. */
export function list(t: Words, names: readonly string[] | null | undefined): string {
  return names?.length ? names.join(", ") : t("none");
}
