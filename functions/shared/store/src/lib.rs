//! Records, keys and access patterns on one DynamoDB table.
#![doc = include_str!("../README.md")]

mod account;
mod accounts;
mod addresses;
mod administration;
mod admins;
mod api_keys;
mod approvals;
mod attempts;
mod attributes;
mod audit;
mod backoff;
mod cap;
mod challenge_kind;
mod challenges;
mod connection;
mod days;
mod deployment;
mod digest;
mod error;
mod expression;
mod factors;
mod freezes;
mod guess_counts;
mod id;
mod idempotency;
mod item;
mod keys;
mod leases;
mod metering;
mod passkeys;
mod passwordless;
mod passwords;
mod provider_outcomes;
mod rates;
mod reading_leases;
mod revocation_entry;
mod revocations;
mod row;
mod service_tokens;
mod session_news;
mod sessions;
mod sign_ins;
mod step_ups;
mod sweeps;
mod table;
mod trading_accounts;
mod transaction;
mod withdrawn_keys;

pub use account::{Account, AccountStatus};
pub use accounts::{LoginRecord, NewAccount, ProfileChange, Registration, UsernameChange, UsernameClaim};
pub use addresses::{AddressMove, Moved};
pub use administration::{AccountPage, RolesAndStatus, RolesAndStatusChange};
pub use api_keys::{ApiKey, ApiKeyCreation, ApiKeyPage, FirstApiKey, IdempotentApiKey};
pub use approvals::{
    APPROVED_FOR, Approval, ApprovalAsked, ApprovalDecision, ApprovalEnd, ApprovalGround, ApprovalOutcome,
    ApprovalPage, ApprovalProof, ApprovalRate, ApprovalStatus, Assertion, MOST_PENDING_APPROVALS,
    OpenApprovals, Redemption,
};
pub use audit::{
    Actor, AuditCursor, AuditDetails, AuditEvent, AuditFilter, AuditKind, AuditPage, AuditRecord, AuditSeal,
    ChainEnd, Finding, KEPT_OF_NOBODY, Outcome, TimePage, TrailIntegrity, Verified, Wrong,
};
pub use backoff::{Contended, Round, until_settled};
pub use cap::Cap;
pub use challenge_kind::ChallengeKind;
pub use challenges::Challenge;
pub use connection::{Store, client_config};
pub use deployment::{Deployment, OLDEST_ROW_FORMAT, ROW_FORMAT};
pub use digest::Digest;
pub use error::StoreError;
pub use factors::{ActiveFactor, Factor, FactorSignIn, FactorSwap, PendingFactor, SealedSecret};
pub use freezes::{EVERYBODY_REMEMBERED, Freeze, Freezer, Freezes, Frozen, UnfinishedFreeze};
pub use guess_counts::{AttemptSource, KnownDevice};
pub use id::{
    AccountId, ApiKeyId, ApprovalId, AuditId, Id, InvalidId, Kind, PasskeyId, ReadingLeaseId, SessionId,
    TradingAccountId,
};
pub use idempotency::{Fingerprint, FirstRegistration, IdempotentRequest};
pub use keys::{FEWEST_DAY_SHARDS, MOST_DAY_SHARDS};
pub use metering::{Meter, Usage};
pub use passkeys::{
    MOST_PASSKEYS, Passkey, PasskeyEnrolment, PasskeyOutcome, PasskeyOwner, PasskeyRemoval, PasskeySignIn,
    PasskeyUse, SpentCeremony,
};
pub use passwordless::{AccountRecovery, PasskeyRule, PasswordByPasskey, Recovered};
pub use passwords::{Finished, NewPassword, PasswordChange};
pub use provider_outcomes::{Outcomes, ProviderMark};
pub use rates::{Member, Use};
pub use reading_leases::{LeaseKind, LeasePlace, ReadingLease};
pub use revocation_entry::{LONGEST_ACCESS_TOKEN, RevocationEntry};
pub use revocations::RevocationPage;
pub use session_news::{DueSessionNews, SessionNews};
pub use sessions::{NewSession, Revocation, Rotation, RotationResult, Session, SessionPage};
pub use sign_ins::{SignInStep, SignIns, Throttled, Wait};
pub use step_ups::{FirstFactor, FirstFactorSignIn, RaisedSession, SessionRaise};
pub use sweeps::{Sweep, SweepPosition};
pub use trading_accounts::{
    BrokerSession, FirstLink, FreezableSwap, Link, LoginUrl, LookupPage, StoredTradingAccount,
    TradingAccountStatus,
};
pub use transaction::Unwritten;
