//! Settings of an operator: names, lifetimes and the strength of passwords.

use std::time::Duration;

use portcullis_platform::{Alias, Environment, Misconfigured, Variable, with_causes};
use portcullis_store::{FEWEST_DAY_SHARDS, MOST_DAY_SHARDS};
use portcullis_verifier::policy::Policy;

use crate::access::policy_document::read_policy;
use crate::access::service_rights::ServiceRights;
use crate::passkeys::RP_ID;
use crate::passwords::argon2_backend::{self, Argon2Backend};
use crate::passwords::hashing::{self, Argon2Settings};
use crate::printable::is_printable;

const DAY: u64 = 24 * 60 * 60;
/// No lifetime may be longer, so that sums of times stay far from the end of the calendar.
const LONGEST: u64 = 3_650 * DAY;

const TOKEN_ISSUER: Variable =
    Variable { name: "TOKEN_ISSUER", default: "user_service", about: "`iss` of access tokens", aliases: &[] };
const TOKEN_AUDIENCE: Variable = Variable {
    name: "TOKEN_AUDIENCE",
    default: "trading_platform",
    about: "`aud` of access tokens",
    aliases: &[],
};
const ACCESS_TOKEN_TTL: Variable = Variable {
    name: "ACCESS_TOKEN_TTL",
    default: "900",
    about: "lifetime of an access token in seconds",
    aliases: &[
        Alias { name: "ACCESS_TOKEN_EXPIRE_MINUTES", factor: 60 },
        Alias { name: "GATEWAY_TOKEN_TTL_SECONDS", factor: 1 },
    ],
};
const REFRESH_TOKEN_TTL: Variable = Variable {
    name: "REFRESH_TOKEN_TTL",
    default: "604800",
    about: "lifetime of a refresh token in seconds",
    aliases: &[Alias { name: "REFRESH_TOKEN_EXPIRE_DAYS", factor: DAY }],
};
const REFRESH_REUSE_GRACE: Variable = Variable {
    name: "REFRESH_REUSE_GRACE",
    default: "30",
    about: "seconds after a rotation in which the refresh token is not rotated again and its predecessor still gets it",
    aliases: &[],
};
const SESSION_TIMEOUT: Variable = Variable {
    name: "SESSION_TIMEOUT",
    default: "86400",
    about: "seconds without a refresh after which a session ends",
    aliases: &[Alias { name: "SECURITY__SESSION_TIMEOUT", factor: 1 }],
};
const SESSION_MAX_AGE: Variable = Variable {
    name: "SESSION_MAX_AGE",
    default: "2592000",
    about: "seconds after which a session ends however busy it is",
    aliases: &[],
};
const PASSWORD_MIN_SCORE: Variable = Variable {
    name: "PASSWORD_MIN_SCORE",
    default: "3",
    about: "zxcvbn score a new password needs, 0 to 4",
    aliases: &[],
};
const TOTP_ISSUER: Variable = Variable {
    name: "TOTP_ISSUER",
    default: "Portcullis",
    about: "what authenticator apps and passkeys call this service",
    aliases: &[],
};
const ROLE_DEFINITIONS: Variable = Variable {
    name: "ROLE_DEFINITIONS",
    default: "",
    about: "policy document (JSON) of roles, permissions and services; built-in roles when unset",
    aliases: &[],
};
const SERVICES: Variable = Variable {
    name: "SERVICES",
    default: r#"{"edge":["api-key:verify","approval:redeem","revocation:read"],"ticker":{"rights":["provider:report"],"credentials":{"brokers":["alpaca","alpaca-paper","dhan","fyers","kite","upstox"]}},"trading":["api-key:verify","approval:redeem","approval:request","postback:verify"]}"#,
    about: "services and their rights (JSON: names, each with a list of resource:action, or with `rights` and `credentials` of `brokers`, `kind` and `per_minute`); their tokens are in SERVICE_TOKENS",
    aliases: &[],
};
const AUDIT_RETENTION_DAYS: Variable = Variable {
    name: "AUDIT_RETENTION_DAYS",
    default: "400",
    about: "days a record of the audit trail is kept; thirteen months let one year be compared with the next",
    aliases: &[],
};
const AUDIT_SHARDS: Variable = Variable {
    name: "AUDIT_SHARDS",
    default: "8",
    about: "partitions of the index over which a day of the audit trail is spread, 8 to 128; each takes 1,000 records a second",
    aliases: &[],
};
const EMAIL_VERIFICATION: Variable = Variable {
    name: "EMAIL_VERIFICATION",
    default: "off",
    about: "whether an address must be confirmed before its account can be used: `off` or `required`",
    aliases: &[],
};

const PASSWORD_ROTATION_DAYS: Variable = Variable {
    name: "PASSWORD_ROTATION_DAYS",
    default: "0",
    about: "days after which a password must be replaced; 0 for never, as NIST and OWASP advise",
    aliases: &[Alias { name: "PORTFOLIO_PASSWORD_ROTATION_DAYS", factor: 1 }],
};
const STEP_UP_MAX_AGE: Variable = Variable {
    name: "STEP_UP_MAX_AGE",
    default: "600",
    about: "seconds for which a proof of who one is counts as fresh: what gives lasting access asks for one, 30 to 86400",
    aliases: &[],
};
const API_KEY_MAX_AGE: Variable = Variable {
    name: "API_KEY_MAX_AGE",
    default: "31622400",
    about: "seconds an API key lives at most, and unless its owner says less; 0 for no end",
    aliases: &[],
};
const MFA_REMEMBER_DAYS: Variable = Variable {
    name: "MFA_REMEMBER_DAYS",
    default: "0",
    about: "days for which a device that gave a code signs in without another one; 0 for never, as for every role with `requires`",
    aliases: &[],
};
const RATE_LIMIT: Variable = Variable {
    name: "RATE_LIMIT",
    default: "on",
    about: "whether failures of a client address are limited, and uses of an account and an address: `on` or `off`; failures of an account always are",
    aliases: &[],
};

const PROOF_OF_WORK: Variable = Variable {
    name: "PROOF_OF_WORK",
    default: "off",
    about: "zero bits of the proof of work that a registration and a forgotten password need: `off`, or 1 to 24",
    aliases: &[],
};

/// The variables read here, for `--help`.
pub const VARIABLES: &[Variable] = &[
    TOKEN_ISSUER,
    TOKEN_AUDIENCE,
    ACCESS_TOKEN_TTL,
    REFRESH_TOKEN_TTL,
    REFRESH_REUSE_GRACE,
    SESSION_TIMEOUT,
    SESSION_MAX_AGE,
    PASSWORD_MIN_SCORE,
    hashing::MEMORY,
    hashing::ITERATIONS,
    hashing::LANES,
    argon2_backend::BACKEND,
    TOTP_ISSUER,
    ROLE_DEFINITIONS,
    SERVICES,
    AUDIT_RETENTION_DAYS,
    AUDIT_SHARDS,
    EMAIL_VERIFICATION,
    PASSWORD_ROTATION_DAYS,
    STEP_UP_MAX_AGE,
    API_KEY_MAX_AGE,
    MFA_REMEMBER_DAYS,
    RATE_LIMIT,
    PROOF_OF_WORK,
    RP_ID,
];

/// Names, lifetimes and rules, checked.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// `iss` of access tokens.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// Lifetime of an access token.
    pub access_token_ttl: Duration,
    /// Lifetime of a refresh token.
    pub refresh_token_ttl: Duration,
    /// The grace period after a rotation, in which the current refresh token is not rotated again and its predecessor
    /// gets it once more.
    pub refresh_reuse_grace: Duration,
    /// The idle timeout of a session: how long it lives without a refresh.
    pub session_timeout: Duration,
    /// The absolute lifetime of a session.
    pub session_max_age: Duration,
    /// zxcvbn score a new password needs.
    pub password_min_score: u8,
    /// The age at which passwords expire; `None` for never.
    pub password_max_age: Option<Duration>,
    /// Whether an address must be confirmed before its account can be used.
    pub email_verification: bool,
    /// How old a proof may be that lasting access asks for.
    pub step_up_max_age: Duration,
    /// How long an API key lives at most, and unless its owner says less; `None` for no end.
    pub api_key_max_age: Option<Duration>,
    /// For how long a device that gave a code signs in without another one; `None` for never.
    pub mfa_remember: Option<Duration>,
    /// Whether failed attempts are limited by client address, and what is no failure by account and by client address.
    pub rate_limit: bool,
    /// Leading zero bits of the proof of work that registering and forgetting a password need; `None` for no work.
    pub proof_of_work: Option<u8>,
    /// Cost parameters of a password hash.
    pub argon2: Argon2Settings,
    /// Which code may compute it.
    pub argon2_backend: Argon2Backend,
    /// The name of this service in authenticator apps.
    pub totp_issuer: String,
    /// How long a record of the audit trail is kept.
    pub audit_retention: Duration,
    /// Over how many partitions of the index a day of the audit trail is spread.
    pub audit_shards: u8,
    /// The policy: permissions of every role.
    pub policy: Policy,
    /// The rights of every service.
    pub services: ServiceRights,
}

impl IdentitySettings {
    /// Returns the settings in the environment; fails with the first variable of [`VARIABLES`] whose value is not
    /// valid.
    pub fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        let policy = policy(environment)?;
        let rotation_days = environment.number(&PASSWORD_ROTATION_DAYS, 0..=3_650)?;
        let totp_issuer = environment.text(&TOTP_ISSUER)?;
        let shown_plainly = !totp_issuer.contains(':') && is_printable(&totp_issuer);
        if !shown_plainly || totp_issuer.chars().count() > 64 {
            let reason = "must be at most 64 printable characters, none of them a colon";
            return Err(Misconfigured::new(TOTP_ISSUER.name, reason));
        }
        let services = ServiceRights::parse(&environment.text(&SERVICES)?)
            .map_err(|reason| Misconfigured::new(SERVICES.name, reason))?;
        Ok(Self {
            totp_issuer,
            services,
            issuer: environment.text(&TOKEN_ISSUER)?,
            audience: environment.text(&TOKEN_AUDIENCE)?,
            access_token_ttl: environment
                .seconds(&ACCESS_TOKEN_TTL, 1..=portcullis_store::LONGEST_ACCESS_TOKEN.as_secs())?,
            refresh_token_ttl: environment.seconds(&REFRESH_TOKEN_TTL, 1..=LONGEST)?,
            refresh_reuse_grace: grace(environment)?,
            session_timeout: environment.seconds(&SESSION_TIMEOUT, 1..=LONGEST)?,
            session_max_age: environment.seconds(&SESSION_MAX_AGE, 1..=LONGEST)?,
            password_min_score: u8::try_from(environment.number(&PASSWORD_MIN_SCORE, 0..=4)?).unwrap_or(4),
            password_max_age: (rotation_days > 0).then(|| Duration::from_secs(rotation_days * DAY)),
            email_verification: one_of(environment, &EMAIL_VERIFICATION, ["off", "required"])?,
            step_up_max_age: environment.seconds(&STEP_UP_MAX_AGE, 30..=DAY)?,
            api_key_max_age: Some(environment.seconds(&API_KEY_MAX_AGE, 0..=LONGEST)?)
                .filter(|age| !age.is_zero()),
            mfa_remember: mfa_remember(environment)?,
            rate_limit: one_of(environment, &RATE_LIMIT, ["off", "on"])?,
            proof_of_work: proof_of_work(environment)?,
            argon2: Argon2Settings::read(environment)?,
            argon2_backend: Argon2Backend::read(environment)?,
            audit_retention: Duration::from_secs(
                environment.number(&AUDIT_RETENTION_DAYS, 1..=LONGEST / DAY)? * DAY,
            ),
            audit_shards: audit_shards(environment)?,
            policy,
        })
    }

    /// Returns how long a session lives after its last refresh: the shorter of its idle timeout and the lifetime of a
    /// refresh token.
    pub(crate) fn idle_limit(&self) -> Duration {
        self.session_timeout.min(self.refresh_token_ttl)
    }
}

/// Returns the policy in [`ROLE_DEFINITIONS`].
fn policy(environment: &Environment) -> Result<Policy, Misconfigured> {
    match environment.text(&ROLE_DEFINITIONS)?.as_str() {
        "" => Ok(Policy::default()),
        document => read_policy(document)
            .map_err(|error| Misconfigured::new(ROLE_DEFINITIONS.name, with_causes(&error))),
    }
}

fn mfa_remember(environment: &Environment) -> Result<Option<Duration>, Misconfigured> {
    let days = environment.number(&MFA_REMEMBER_DAYS, 0..=90)?;
    Ok((days > 0).then(|| Duration::from_secs(days * DAY)))
}

fn audit_shards(environment: &Environment) -> Result<u8, Misconfigured> {
    let range = u64::from(FEWEST_DAY_SHARDS)..=u64::from(MOST_DAY_SHARDS);
    Ok(u8::try_from(environment.number(&AUDIT_SHARDS, range)?).unwrap_or(FEWEST_DAY_SHARDS))
}

/// Returns [`REFRESH_REUSE_GRACE`]. A refresh within it changes nothing of its session, so that one which may be idle for no
/// longer than that would expire of being busy; hence half of that at most.
fn grace(environment: &Environment) -> Result<Duration, Misconfigured> {
    let grace = environment.seconds(&REFRESH_REUSE_GRACE, 0..=300)?;
    for idle in [&SESSION_TIMEOUT, &REFRESH_TOKEN_TTL] {
        if environment.seconds(idle, 1..=LONGEST)? < 2 * grace {
            let reason = format!("is more than half of {}", idle.name);
            return Err(Misconfigured::new(REFRESH_REUSE_GRACE.name, reason));
        }
    }
    Ok(grace)
}

/// Returns the bits of [`PROOF_OF_WORK`]; `None` where it is off.
fn proof_of_work(environment: &Environment) -> Result<Option<u8>, Misconfigured> {
    match environment.text(&PROOF_OF_WORK)?.as_str() {
        "off" => Ok(None),
        bits => match bits.parse() {
            Ok(bits @ 1..=24) => Ok(Some(bits)),
            _ => Err(Misconfigured::new(PROOF_OF_WORK.name, "is neither `off` nor a number from 1 to 24")),
        },
    }
}

/// Returns whether a variable of two words is the second of them.
fn one_of(
    environment: &Environment,
    variable: &'static Variable,
    words: [&str; 2],
) -> Result<bool, Misconfigured> {
    let [no, yes] = words;
    match environment.text(variable)? {
        word if word == no => Ok(false),
        word if word == yes => Ok(true),
        _ => Err(Misconfigured::new(variable.name, format!("is neither `{no}` nor `{yes}`"))),
    }
}
