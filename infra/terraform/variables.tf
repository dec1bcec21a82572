variable "environment" {
  description = "Name of the deployment; part of every name"
  type        = string
  default     = "dev"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.environment))
    error_message = "Lower-case letters, digits and hyphens, at most 16."
  }
}

variable "public_url" {
  description = "Where clients reach the service"
  type        = string
  validation {
    condition     = startswith(var.public_url, "https://")
    error_message = "The service is reached through TLS."
  }
}

variable "allowed_origins" {
  description = "Origins of the pages that may send credentials; empty means public_url alone"
  type        = list(string)
  default     = []
}

variable "require_edge" {
  description = "Whether requests are refused that did not come through the edge; services and the edge itself are let in"
  type        = bool
  default     = false
}

variable "trusted_proxies" {
  description = "Networks (CIDR) of proxies in front whose word on the client's address is believed; not the edge, which proves it"
  type        = list(string)
  default     = []
}

variable "mail_from" {
  description = "Address that mail comes from; SES must know its domain as an identity of yours"
  type        = string
  validation {
    condition     = can(regex("^[^@\\s]+@[a-z0-9.-]+$", var.mail_from))
    error_message = "One plain address."
  }
}

variable "email_verification" {
  description = "Whether an address must be confirmed before its account can be used: required or off"
  type        = string
  default     = "required"
  validation {
    condition     = contains(["required", "off"], var.email_verification)
    error_message = "Either required or off."
  }
}

variable "proof_of_work" {
  description = "Zero bits of the proof of work that a registration and a forgotten password need, 1 to 24; off for none"
  type        = string
  default     = "off"
  validation {
    condition     = can(regex("^(off|[1-9]|1[0-9]|2[0-4])$", var.proof_of_work))
    error_message = "Either off or a number from 1 to 24."
  }
}

variable "password_rotation_days" {
  description = "Days after which a password must be replaced; 0 for never"
  type        = number
  default     = 0
}

variable "passkey_rp_id" {
  description = "The domain that passkeys are bound to, for good: the host of the pages or a domain above it; empty means that host."
  type        = string
  default     = ""
}

variable "architecture" {
  description = "arm64 or x86_64, as the artifact was built"
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Either arm64 or x86_64."
  }
}

variable "artifact" {
  description = "The bootstrap.zip that infra/build makes; every function runs it"
  type        = string
}

variable "log_retention_days" {
  type    = number
  default = 30
}

variable "rotation_days" {
  description = "Days between rotations of the secrets; more than a refresh token lives"
  type        = number
  default     = 30
  validation {
    condition     = var.rotation_days >= 8
    error_message = "A refresh token lives for seven days and would be refused."
  }
}

variable "token_signing_algorithm" {
  description = "Algorithm of new signing keys for access tokens: RS256, ES256 or EdDSA; existing keys keep theirs"
  type        = string
  default     = "RS256"
  validation {
    condition     = contains(["RS256", "ES256", "EdDSA"], var.token_signing_algorithm)
    error_message = "One of RS256, ES256 and EdDSA."
  }
}

variable "requests_per_second" {
  description = "Steady rate of requests that the API lets through to routes of clients"
  type        = number
  default     = 4000
}

variable "request_burst" {
  type    = number
  default = 4000
}

variable "monthly_budget" {
  description = "US dollars a month that the account may cost before alarm_email is told, at 80 percent, at 100 and when a forecast says so; 0 for no budget"
  type        = number
  default     = 0
  validation {
    condition     = var.monthly_budget >= 0 && var.monthly_budget <= 1000000
    error_message = "Between 0 and a million."
  }
  validation {
    condition     = var.monthly_budget == 0 || var.alarm_email != ""
    error_message = "A budget needs alarm_email, which is told of it."
  }
}

variable "multi_region_keys" {
  description = "Whether the keys can be replicated to another Region; for good: false only for a deployment whose keys were made without"
  type        = bool
  default     = true
}

variable "standby_region" {
  description = "Region of a warm standby (STANDBY.md), to which secrets and table are replicated; empty for none"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[a-z]{2}(-[a-z]+)+-[0-9])$", var.standby_region))
    error_message = "Empty, or the name of a Region."
  }
  validation {
    condition     = var.standby_region == "" || (var.multi_region_keys && var.standby_of == null)
    error_message = "A standby opens what is sealed here with replicas of the keys, so that multi_region_keys has to be true; and it has none itself."
  }
}

variable "standby_keys" {
  description = "The output keys of the standby, under which replicas of the secrets are encrypted there; null where there is none"
  type        = object({ key = string, broker_key = string })
  default     = null
}

variable "standby_of" {
  description = "Makes this deployment a standby of another one: the output for_standby of the module in the first Region"
  type        = object({ key_arn = string, broker_key_arn = string, table_arn = string })
  default     = null
}

variable "serving" {
  description = "Whether a standby has taken over; until then no function runs that writes, and no job"
  type        = bool
  default     = false
}

variable "alarm_topic_arn" {
  description = "SNS topic that is told of alarms; empty for one that the module makes"
  type        = string
  default     = ""
}

variable "audit_retention_days" {
  description = "Days a record of the audit trail is kept"
  type        = number
  default     = 400
}

variable "table_suffix" {
  description = "What follows the name of a table that was restored, with its dot (OPERATIONS.md says how); empty for the first one"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|\\.[a-z0-9-]{1,32})$", var.table_suffix))
    error_message = "Empty, or a dot and up to 32 lower-case letters, digits and hyphens."
  }
}

variable "audit_shards" {
  description = "Partitions over which a day of the audit trail is listed (SCALE.md says when to raise it)"
  type        = number
  default     = 8
}

variable "frontend_url" {
  description = "Where the pages are that links in mails lead to; empty for public_url"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|https://[a-z0-9.:-]+)$", var.frontend_url))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "domain_name" {
  description = "Host of public_url, to be served by this API; empty when something else leads to it"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[a-z0-9.-]+)$", var.domain_name))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "certificate_arn" {
  description = "Certificate of domain_name in ACM, in the region of the stack"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|arn:[a-z-]+:acm:.+)$", var.certificate_arn))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "token_issuer" {
  description = "Claim iss of access tokens; empty for user_service"
  type        = string
  default     = ""
}

variable "token_audience" {
  description = "Claim aud of access tokens; empty for trading_platform"
  type        = string
  default     = ""
}

variable "access_token_ttl" {
  description = "Lifetime of an access token in seconds; empty for 900"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.access_token_ttl))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "refresh_token_ttl" {
  description = "Lifetime of a refresh token in seconds; empty for 604800. Less than rotation_days"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.refresh_token_ttl))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "refresh_reuse_grace" {
  description = "Seconds after a rotation in which a refresh token is not rotated again; empty for 30"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.refresh_reuse_grace))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "session_timeout" {
  description = "Seconds without a refresh after which a session ends; empty for 86400"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.session_timeout))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "session_max_age" {
  description = "Seconds after which a session ends however busy it is; empty for 2592000"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.session_max_age))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "password_min_score" {
  description = "Score of zxcvbn that a new password needs; empty for 3"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-4])$", var.password_min_score))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "argon2_memory_kib" {
  description = "Memory of a password hash in KiB; empty for the default"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.argon2_memory_kib))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "argon2_iterations" {
  description = "Passes of a password hash; empty for the default"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.argon2_iterations))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "argon2_parallelism" {
  description = "Lanes of a password hash; empty for the default"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.argon2_parallelism))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "argon2_backend" {
  description = "What computes Argon2id; empty for auto"
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "auto", "portable"], var.argon2_backend)
    error_message = "One of auto, portable, or empty."
  }
}

variable "totp_issuer" {
  description = "What authenticator apps call the service; empty for Portcullis"
  type        = string
  default     = ""
}

variable "brand_name" {
  description = "Name of the platform on the pages of the web console; empty for Portcullis"
  type        = string
  default     = ""
}

variable "brand_logo" {
  description = "Its logo, a path or an address on the host of public_url, or a data:image/ URL; empty for none"
  type        = string
  default     = ""
}

variable "brand_accent" {
  description = "Its colour as #rrggbb, dark enough to be read on a light page; empty for that of Portcullis"
  type        = string
  default     = ""
}

variable "role_definitions" {
  description = "Policy document (JSON) of roles, permissions and services; empty for the built-in roles"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[^\\n\\r]*$", var.role_definitions))
    error_message = "On one line, as jsonencode writes it."
  }
}

variable "services" {
  description = "Services and their rights (JSON); empty for edge, ticker and trading"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[^\\n\\r]*$", var.services))
    error_message = "On one line, as jsonencode writes it."
  }
}

variable "rate_limit" {
  description = "Whether client addresses and uses are limited; empty for on"
  type        = string
  default     = ""
  validation {
    condition     = contains(["", "on", "off"], var.rate_limit)
    error_message = "One of on, off, or empty."
  }
}

variable "step_up_max_age" {
  description = "Seconds for which a proof of who one is counts as fresh; empty for 600"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[0-9]*$", var.step_up_max_age))
    error_message = "A whole number, or empty."
  }
}

variable "api_key_max_age" {
  description = "Seconds an API key lives at most, and unless its owner says less; 0 for no end; empty for a year"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[0-9]*$", var.api_key_max_age))
    error_message = "A whole number, or empty."
  }
}

variable "mfa_remember_days" {
  description = "Days for which a device that gave a code is not asked for another one; 0 or empty for never"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[0-9]*$", var.mfa_remember_days))
    error_message = "A whole number, or empty."
  }
}

variable "providers_to_watch" {
  description = "Names of providers beside the brokers to keep health counters for"
  type        = list(string)
  default     = []
}

variable "credential_max_age" {
  description = "Seconds after which broker credentials are sealed anew under another data key; empty for 7776000"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.credential_max_age))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "credential_lease_ttl" {
  description = "Seconds for which a service that reads broker credentials again needs no decryption by KMS, 3600 at most, 0 for none; empty for 300"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]{1,4})$", var.credential_lease_ttl))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "freeze_cancel_grace" {
  description = "Seconds after a freeze in which services may read broker sessions to cancel orders, 120 at most; empty for 20"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]{1,3})$", var.freeze_cancel_grace))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "request_timeout" {
  description = "Seconds after which a request that is not done is answered 503, less than the ten of the functions; empty for 5"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[1-9])$", var.request_timeout))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "call_timeout_ms" {
  description = "Milliseconds that one attempt of a call to the table, the secrets or KMS may take; empty for the default"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.call_timeout_ms))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "rotation_min_interval" {
  description = "Seconds that must lie between two rotations; empty for a week, 0 after a leak"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[0-9]+)$", var.rotation_min_interval))
    error_message = "Empty, or of the form that the description names."
  }
}

variable "rust_log" {
  description = "What is logged - a level, or levels by module; empty for warn and a line for each request"
  type        = string
  default     = ""
}

variable "internal_requests_per_second" {
  description = "Steady rate of requests that the API lets through to each route that services and the edge call, whatever clients do"
  type        = number
  default     = 1500
}

variable "internal_request_burst" {
  type    = number
  default = 1500
}

variable "concurrent_executions" {
  description = "Quota of the account for concurrent executions of Lambda; an alarm goes off at four fifths of it"
  type        = number
  default     = 1000
}

variable "alarm_email" {
  description = "Address that is told of alarms by the topic the stack makes; it has to confirm"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|[^@\\s]+@[a-z0-9.-]+)$", var.alarm_email))
    error_message = "Empty, or of the form that the description names."
  }
}
