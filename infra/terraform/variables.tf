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
  description = "Steady rate of requests the API lets through"
  type        = number
  default     = 200
}

variable "request_burst" {
  type    = number
  default = 400
}

variable "alarm_topic_arn" {
  description = "SNS topic that is told of alarms; empty tells nobody"
  type        = string
  default     = ""
}

variable "audit_retention_days" {
  description = "Days a record of the audit trail is kept"
  type        = number
  default     = 400
}
