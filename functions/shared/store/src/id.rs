//! Typed identifiers: a prefix that says what they name, and a version 7 UUID that sorts by creation time.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use jiff::Timestamp;
use portcullis_platform::{Entropy, EntropyUnavailable};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What an id names.
pub trait Kind {
    /// The letters before the underscore.
    const PREFIX: &'static str;
}

/// Marks ids of accounts.
#[derive(Debug, Clone, Copy)]
pub enum AccountKind {}
impl Kind for AccountKind {
    const PREFIX: &'static str = "usr";
}

/// Marks ids of sessions.
#[derive(Debug, Clone, Copy)]
pub enum SessionKind {}
impl Kind for SessionKind {
    const PREFIX: &'static str = "ses";
}

/// Marks ids of API keys.
#[derive(Debug, Clone, Copy)]
pub enum ApiKeyKind {}

impl Kind for ApiKeyKind {
    const PREFIX: &'static str = "key";
}

/// Marks ids of passkeys.
#[derive(Debug, Clone, Copy)]
pub enum PasskeyKind {}

impl Kind for PasskeyKind {
    const PREFIX: &'static str = "psk";
}

/// The `psk_…` of a passkey.
pub type PasskeyId = Id<PasskeyKind>;

/// Marks ids of approvals.
#[derive(Debug, Clone, Copy)]
pub enum ApprovalKind {}

impl Kind for ApprovalKind {
    const PREFIX: &'static str = "apr";
}

/// The `apr_…` of an approval.
pub type ApprovalId = Id<ApprovalKind>;

/// Marks ids of trading accounts.
#[derive(Debug, Clone, Copy)]
pub enum TradingAccountKind {}

impl Kind for TradingAccountKind {
    const PREFIX: &'static str = "acc";
}

/// The `acc_…` of a trading account.
pub type TradingAccountId = Id<TradingAccountKind>;

/// Marks ids of leases of readings.
#[derive(Debug, Clone, Copy)]
pub enum ReadingLeaseKind {}

impl Kind for ReadingLeaseKind {
    const PREFIX: &'static str = "lse";
}

/// The `lse_…` of a lease of a reading.
pub type ReadingLeaseId = Id<ReadingLeaseKind>;

/// Marks ids of records of the audit trail.
#[derive(Debug, Clone, Copy)]
pub enum AuditRecordKind {}

impl Kind for AuditRecordKind {
    const PREFIX: &'static str = "aud";
}

/// The `aud_…` of a record of the audit trail.
pub type AuditId = Id<AuditRecordKind>;
/// The `key_…` of an API key.
pub type ApiKeyId = Id<ApiKeyKind>;
/// The `usr_…` of a person.
pub type AccountId = Id<AccountKind>;
/// The `ses_…` of one sign-in.
pub type SessionId = Id<SessionKind>;

/// An identifier of one kind, written `<prefix>_<32 lower-case hexadecimal digits>`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Id<K> {
    /// A new id: the millisecond of its creation, then 74 random bits (RFC 9562, section 5.7).
    pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Result<Self, EntropyUnavailable> {
        let mut random = [0; 10];
        entropy.fill(&mut random)?;
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
        Ok(Self { uuid, kind: PhantomData })
    }
}

impl<K> Id<K> {
    /// An id that sorts before all others of this millisecond.
    pub(crate) fn at(time: Timestamp) -> Self {
        let milliseconds = u128::try_from(time.as_millisecond()).unwrap_or(0);
        Self { uuid: Uuid::from_u128(milliseconds << 80), kind: PhantomData }
    }

    /// An id of these bytes, which are a digest of what it names (version 8 of RFC 9562, section 5.8). It sorts by no time.
    pub fn derived(bytes: [u8; 16]) -> Self {
        Self { uuid: uuid::Builder::from_custom_bytes(bytes).into_uuid(), kind: PhantomData }
    }

    /// The id that is nobody's: what concerns everybody has a trail of its own under it.
    pub const fn of_everybody() -> Self {
        Self { uuid: Uuid::nil(), kind: PhantomData }
    }

    /// Whether the id is a digest of what it names.
    pub fn is_derived(&self) -> bool {
        self.uuid.get_version_num() == 8
    }

    /// Returns when it was made, to the millisecond (UUID version 7, RFC 9562); of no meaning for one that is derived.
    pub fn created_at(&self) -> Timestamp {
        let milliseconds = i64::try_from(self.uuid.as_u128() >> 80).unwrap_or(0);
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// One of so many parts, 256 at most, by its random bits.
    pub(crate) fn shard(&self, parts: u16) -> u8 {
        u8::try_from(self.uuid.as_u128() % u128::from(parts.clamp(1, 256))).unwrap_or(0)
    }

    /// The number it is.
    pub fn number(&self) -> u128 {
        self.uuid.as_u128()
    }

    /// The 32 digits alone, without the prefix.
    pub fn digits(&self) -> String {
        format!("{:x}", self.uuid.simple())
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{:x}", K::PREFIX, self.uuid.simple())
    }
}

/// The text is no id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct InvalidId;

impl<K: Kind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(InvalidId)?;
        let uuid = Uuid::try_parse(digits).map_err(|_| InvalidId)?;
        let id = Self { uuid, kind: PhantomData };
        // `Uuid` reads capitals, hyphens and braces too; two spellings of one id would be two keys in the table.
        if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Derives would ask the same of `K`, which is never held.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By time of creation.
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;

    fn at(milliseconds: i64) -> AccountId {
        Id::generate(Timestamp::from_millisecond(milliseconds).unwrap(), &SystemEntropy).unwrap()
    }

    #[test]
    fn ids_sort_by_the_time_of_their_creation() {
        let (older, younger) = (at(1_790_000_000_000), at(1_790_000_000_001));
        assert!(older.to_string() < younger.to_string());
    }

    #[test]
    fn an_id_has_one_spelling_and_one_kind() {
        let id = at(1_790_000_000_000);
        let text = id.to_string();
        assert_eq!(text.parse::<AccountId>(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<AccountId>(), Err(InvalidId));
        assert_eq!(format!("usr_{}", id.uuid.hyphenated()).parse::<AccountId>(), Err(InvalidId));
        assert_eq!(text.replace("usr", "ses").parse::<AccountId>(), Err(InvalidId));
        assert_eq!("usr_".parse::<AccountId>(), Err(InvalidId));
        assert_eq!(format!("{text}#CRED").parse::<AccountId>(), Err(InvalidId));
    }
}
