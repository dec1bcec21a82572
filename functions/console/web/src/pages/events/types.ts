// The types of events, in the groups that they are chosen from.
import type { events } from "../../messages/events/index.ts";
import type { Schemas } from "../../session/client.ts";

/** An event of an audit trail. */
export type AuditEvent = Schemas["AuditEventItem"];

type TextKey = keyof (typeof events)["english"];

/** A type of event that there are words for. */
export type EventType = TextKey extends infer K ? (K extends `type.${infer T}` ? T : never) : never;

/** All types, by what they are about. */
export const GROUPS = {
  signIn: [
    "login_succeeded",
    "login_failed",
    "new_device",
    "mfa_required",
    "mfa_enrolment_required",
    "mfa_failed",
    "session_revoked",
    "sessions_revoked",
    "refresh_token_reuse",
    "account_unlocked",
    "confirmed",
    "stepped_up",
  ],
  trading: [
    "credentials_read",
    "credentials_refused",
    "credentials_used",
    "credentials_frozen",
    "credentials_unfrozen",
    "orders_cancelled",
    "everybody_frozen",
    "everybody_unfrozen",
    "trading_account_linked",
    "trading_account_changed",
    "trading_account_verified",
    "trading_account_unlinked",
    "credentials_replaced",
    "credentials_resealed",
    "credentials_unreadable",
    "broker_session_started",
    "broker_session_ended",
    "approval_requested",
    "approval_granted",
    "approval_denied",
    "approval_redeemed",
    "approval_refused",
  ],
  security: [
    "password_changed",
    "password_reset_requested",
    "password_reset",
    "password_expired",
    "password_rotated",
    "password_overridden",
    "mfa_set_up",
    "mfa_enabled",
    "mfa_disabled",
    "mfa_reset",
    "backup_codes_renewed",
    "passkey_added",
    "passkey_renamed",
    "passkey_removed",
    "passkey_counter_fell",
    "api_key_created",
    "api_key_rotated",
    "api_key_deleted",
  ],
  account: [
    "account_registered",
    "account_invited",
    "verification_requested",
    "email_verified",
    "email_change_requested",
    "email_changed",
    "email_restored",
    "username_changed",
    "profile_changed",
    "account_disabled",
    "account_enabled",
    "account_erased",
    "roles_changed",
  ],
  admin: ["administration_refused", "provider_marked", "provider_unmarked"],
} as const satisfies Record<string, readonly EventType[]>;

/** The names of the groups, in their order. */
export const GROUP_NAMES = Object.keys(GROUPS) as (keyof typeof GROUPS)[];

type Grouped = (typeof GROUPS)[keyof typeof GROUPS][number];
// A type without a group does not compile: it could not be filtered for.
const EVERY_TYPE: Record<Exclude<EventType, Grouped>, never> = {};
const KNOWN: ReadonlySet<string> = new Set<string>([...Object.values(GROUPS).flat(), ...Object.keys(EVERY_TYPE)]);

/** Whether there are words for a type; a newer service may have more. */
export function isEventType(type: string | null): type is EventType {
  return type !== null && KNOWN.has(type);
}
