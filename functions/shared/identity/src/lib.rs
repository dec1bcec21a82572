//! The rules and operations of accounts, sessions and tokens.
#![doc = include_str!("../README.md")]

mod access;
mod accounts;
mod approvals;
mod audit;
mod client_context;
mod error;
mod identity;
mod invalid;
mod limits;
mod mfa;
mod notifications;
mod passkeys;
mod passwords;
mod printable;
mod proof_of_work;
pub mod sealing;
mod sessions;
mod settings;
mod sha256;
mod sign_in;
mod tokens;

pub use access::api_keys::{ApiKeyName, ApiKeyRequest, IssuedApiKey};
pub use access::caller::Caller;
pub use access::edge_proofs::{EdgeProofKeys, service_proof_keys};
pub use access::given_key::GivenApiKey;
pub use access::lease_secret::LeaseSecret;
pub use access::policy_document::{UnusablePolicy, read_policy};
pub use access::principal::{Decision, KeyHolder, Principal};
pub use access::service_rights::{CredentialKind, CredentialRights, ServiceRights};
pub use access::services::Service;
pub use accounts::administration::{AccountRequest, AccountUpdate, Admin, FirstPassword, Listed, Operator};
pub use accounts::email::Email;
pub use accounts::invitation::Invitation;
pub use accounts::person::{DeviceName, PersonName, PhoneNumber, Username};
pub use accounts::profile::ProfileUpdate;
pub use accounts::register::{NewPerson, Registered};
pub use accounts::search::AccountFilter;
pub use approvals::{
    ApprovalAsker, ApprovalChallenge, ApprovalMethod, ApprovalRequest, ApprovalState, ApprovalView,
    AuthorizationDetails, Decided, Decimal, Exchange, Intent, LONGEST_APPROVAL, MisfitPrice, Order,
    OrderType, PresentedProof, Product, Redeemed, RedemptionRequest, Side, Symbol, Validity, Verdict,
};
pub use audit::EVENT_TYPES;
pub use client_context::ClientContext;
pub use error::Error;
pub use identity::Identity;
pub use invalid::{Field, InvalidField, InvalidValue};
pub use mfa::{
    EnrolledSignIn, EnrolmentChallenge, EnrolmentMethod, MfaChallenge, MfaConfirmation, MfaSignIn,
    PresentedCode, ShownToken, StepUp, SteppedUp, TotpEnrolment,
};
pub use notifications::CredentialChange;
pub use passkeys::{
    ALGORITHMS, CHALLENGE_LENGTH, NewPasskey, PasskeyCreation, PasskeyLogin, PasskeyName, PasskeyRequest,
    PresentedPasskey, PublicKeyCredential, Refused, RegisterPublicKeyCredential, RelyingParty,
    VerifiedAssertion,
};
pub use passwords::argon2_backend::Argon2Backend;
pub use passwords::foreign_hash::{ImportedHash, UnusableHash};
pub use passwords::hashing::{Argon2Settings, PasswordHasher};
pub use passwords::password::Password;
pub use passwords::passwordless::LostPasskeys;
pub use printable::{is_printable, marking_unprintable, printable, without_unprintable};
pub use proof_of_work::{Work, WorkChallenge};
pub use sessions::list::SessionList;
pub use sessions::logout::{Logout, ShownTokens, SignedOut};
pub use sessions::refresh::{RefreshGrant, Refreshed};
pub use settings::{IdentitySettings, VARIABLES};
pub use sign_in::devices::DEVICE_TOKEN_TTL;
pub use sign_in::login::{Login, LoginAttempt, LoginName, SignedIn};
pub use tokens::access_token::{SigningKey, VerificationKeys};
pub use tokens::keyring::{Keyring, UnusableSecret};
pub use tokens::managed_keys::ManagedKey;
pub use tokens::public_keys::written_public_keys;
pub use tokens::refresh_token::{PresentedToken, RefreshToken};
pub use tokens::session_token::SessionToken;

/// What operations give and take of the store's records, for callers that know the operations alone.
pub use portcullis_store::{
    APPROVED_FOR, Account, AccountId, AccountStatus, ApiKey, ApiKeyId, Approval, ApprovalId, ApprovalStatus,
    Assertion, AuditCursor, AuditDetails, AuditFilter, AuditId, AuditKind, AuditPage, AuditRecord, Finding,
    MOST_PASSKEYS, Passkey, PasskeyId, Session, SessionId, SignIns, StoreError, TimePage, TradingAccountId,
    TrailIntegrity, Verified, Wrong,
};
/// How surely a person proved who they are.
pub use portcullis_verifier::Assurance;
/// Why an access token was refused.
pub use portcullis_verifier::Rejection;

/// What a policy is asked.
pub use portcullis_verifier::policy::{Permission, PermissionError, Policy, is_word};
/// What a request needs of a sign-in.
pub use portcullis_verifier::route::Needed;
