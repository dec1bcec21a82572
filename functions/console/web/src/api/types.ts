// What the service returns, as far as pages read it.

/** The account of a person. */
export interface User {
  user_id: string;
  email: string | null;
  username: string | null;
  name: string;
  phone: string | null;
  roles: string[];
  status: "active" | "disabled";
  mfa_enabled: boolean;
  email_verified: boolean;
  created_at: string;
  last_login_at: string | null;
  password_expires_at: string | null;
}

/** The session of this page and what its owner may do. */
export interface Status {
  user_id: string;
  session_id: string;
  session_expires_at: string;
  roles: string[];
  permissions: string[];
  mfa_enabled: boolean;
  password_expires_at: string | null;
  /** Since when the owner's broker credentials are frozen; null where they are not, absent from services that do not say. */
  trading_frozen_at?: string | null;
}

/** An account at a broker. */
export interface TradingAccount {
  account_id: string;
  broker: string;
  user_id_broker: string;
  label: string | null;
  status: "pending" | "active" | "expired" | "rejected" | "disabled";
  created_at: string;
  verified_at: string | null;
  api_key_hint: string;
  /** When the broker's session ends, where the service says it. */
  session_expires_at?: string | null;
  login_url?: string | null;
}

/** How one account's session ended at its broker. */
export interface FrozenAccount {
  account_id: string;
  broker: string;
  session: "none" | "ended" | "unconfirmed";
  reason?: string | null;
}

/** A page of a list. */
export interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** A session of the owner. */
export interface SessionItem {
  session_id: string;
  device_name: string | null;
  user_agent: string | null;
  ip: string | null;
  created_at: string;
  last_seen_at: string;
  current: boolean;
}

/** An API key without its clear text. */
export interface ApiKeyItem {
  key_id: string;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
}

/** An event of the audit trail. */
export interface AuditEvent {
  event_id: string;
  user_id: string;
  type: string;
  at: string;
  actor: string;
  outcome: string;
  service?: string | null;
  purpose?: string | null;
  target?: string | null;
  session_id?: string | null;
  ip?: string | null;
  user_agent?: string | null;
  request_id: string;
  details?: {
    key_name?: string | null;
    reason?: string | null;
    request?: string | null;
    roles_before?: string[];
    roles_after?: string[];
    scopes?: string[];
  } | null;
}

/** The health of a provider. */
export interface Provider {
  name: string;
  status: "healthy" | "degraded" | "unhealthy";
  last_check: string | null;
  response_time_ms: number | null;
  consecutive_failures: number;
  marked_until: string | null;
  mark_reason: string | null;
}
