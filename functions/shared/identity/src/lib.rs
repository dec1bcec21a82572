//! The rules and operations of accounts, sessions and tokens.
#![doc = include_str!("../README.md")]

mod access;
mod access_token;
mod administration;
mod api_keys;
mod argon2_backend;
mod audit;
mod common_passwords;
mod confirmation;
mod devices;
mod email;
mod error;
mod foreign_hash;
mod gate;
mod guessing;
mod hashing;
mod identity;
mod invalid;
mod key_derivation;
mod keyring;
mod letters;
mod login;
mod logout;
mod managed_keys;
mod mfa;
mod origin;
mod password;
mod person;
mod principal;
mod profile;
mod recovery;
mod refresh;
mod refresh_token;
mod register;
mod revocations;
mod rotation;
pub mod sealing;
mod service_rights;
mod services;
mod session_token;
mod sessions;
mod settings;
mod sha256;
mod token_provider;
mod verification;

pub use access::Caller;
pub use access_token::{SigningKey, VerificationKeys};
pub use administration::{AccountRequest, Admin, FirstPassword, Listed, Operator, StandingUpdate};
pub use api_keys::{ApiKeyName, ApiKeyRequest, IssuedApiKey};
pub use argon2_backend::Argon2Backend;
pub use email::Email;
pub use error::Error;
pub use foreign_hash::{ImportedHash, UnusableHash};
pub use hashing::{Argon2Settings, PasswordHasher};
pub use identity::Identity;
pub use invalid::{Field, InvalidField, InvalidValue};
pub use keyring::{Keyring, UnusableSecret};
pub use letters::CredentialNews;
pub use login::{Login, LoginAttempt, LoginName, SignedIn};
pub use logout::Logout;
pub use mfa::{MfaChallenge, MfaConfirmation, MfaSignIn, PresentedCode, StepUp, TotpEnrolment};
pub use origin::Origin;
pub use password::Password;
pub use person::{DeviceName, PersonName, PhoneNumber, Username};
pub use principal::{Decision, KeyHolder, Principal};
pub use profile::ProfileUpdate;
pub use refresh::{RefreshGrant, Refreshed};
pub use refresh_token::{PresentedToken, RefreshToken};
pub use register::{NewPerson, Registered};
pub use revocations::{EpochBegan, Revocations};
pub use service_rights::{CredentialKind, CredentialRights, ServiceRights};
pub use services::Service;
pub use session_token::SessionToken;
pub use sessions::SessionList;
pub use settings::{IdentitySettings, VARIABLES};

/// What operations give and take of the store's records, for callers that know the operations alone.
pub use portcullis_store::{
    Account, AccountId, AccountStatus, ApiKey, ApiKeyId, AuditCursor, AuditFilter, AuditId, AuditPage,
    AuditRecord, Finding, Session, SessionId, SignIns, StoreError, TimePage, Verified, Wrong,
};
/// What a policy is asked.
pub use portcullis_verifier::policy::{Permission, PermissionError};
