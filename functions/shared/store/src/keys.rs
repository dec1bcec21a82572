//! The keys of the table, and nobody else's business: every partition and sort key is made here.
//!
//! Each kind has a prefix of its own, and free text is escaped, so that no input can form the key of another record.

use std::collections::HashMap;
use std::fmt::Write;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::challenges::ChallengeKind;
use crate::id::{AccountId, ApiKeyId, SessionId, TradingAccountId};
use crate::sessions::Digest;

/// Name of the partition key attribute.
pub(crate) const PARTITION: &str = "pk";
/// Name of the sort key attribute.
pub(crate) const SORT: &str = "sk";
/// Name of the attribute DynamoDB's time to live follows, in Unix seconds.
pub(crate) const TTL: &str = "expires_ttl";
/// What the sort keys of sessions begin with.
pub(crate) const SESSION_PREFIX: &str = "SES#";

/// What the sort keys of API keys begin with.
pub(crate) const API_KEY_PREFIX: &str = "KEY#";

/// What the sort keys of trading accounts begin with, among their owner's rows and in the lookup.
pub(crate) const TRADING_ACCOUNT_PREFIX: &str = "ACC#";

/// The full primary key of one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) partition: String,
    pub(crate) sort: String,
}

impl Key {
    fn new(partition: String, sort: impl Into<String>) -> Self {
        Self { partition, sort: sort.into() }
    }

    /// The key as a request wants it.
    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PARTITION.to_owned(), AttributeValue::S(self.partition.clone())),
            (SORT.to_owned(), AttributeValue::S(self.sort.clone())),
        ])
    }
}

/// All that a sign-in with this address needs.
pub(crate) fn credentials(email: &str) -> Key {
    Key::new(format!("EMAIL#{}", escaped(email)), "CRED")
}

/// The alias of an account under its username.
pub(crate) fn username(name: &str) -> Key {
    Key::new(format!("NAME#{}", escaped(name)), "CRED")
}

/// The partition that holds everything of one person.
pub(crate) fn person(account: AccountId) -> String {
    format!("USER#{account}")
}

/// Profile, roles and epoch.
pub(crate) fn profile(account: AccountId) -> Key {
    Key::new(person(account), "PROFILE")
}

/// When the person last signed in.
pub(crate) fn last_login(account: AccountId) -> Key {
    Key::new(person(account), "LOGIN")
}

/// One session.
pub(crate) fn session(account: AccountId, session: SessionId) -> Key {
    Key::new(person(account), format!("{SESSION_PREFIX}{session}"))
}

/// One audit event; the number tells apart events of one millisecond.
pub(crate) fn audit(account: AccountId, at: Timestamp, sequence: u64) -> Key {
    Key::new(person(account), format!("AUD#{:015}#{sequence:016x}", at.as_millisecond()))
}

/// The second factor of a person, with its backup codes and the count of wrong codes.
pub(crate) fn factor(account: AccountId) -> Key {
    Key::new(person(account), "FACTOR")
}

/// One API key, among all that is its owner's.
pub(crate) fn api_key(account: AccountId, key: ApiKeyId) -> Key {
    Key::new(person(account), format!("{API_KEY_PREFIX}{key}"))
}

/// Whose an API key is.
pub(crate) fn api_key_owner(key: ApiKeyId) -> Key {
    Key::new(format!("KEY#{key}"), "KEY")
}

/// One trading account, among all that is its owner's.
pub(crate) fn trading_account(owner: AccountId, account: TradingAccountId) -> Key {
    Key::new(person(owner), format!("{TRADING_ACCOUNT_PREFIX}{account}"))
}

/// How many partitions the owners of trading accounts are spread over.
pub(crate) const LOOKUP_SHARDS: u16 = 256;

/// One partition of the owners of trading accounts.
pub(crate) fn trading_account_shard(shard: u8) -> String {
    format!("ACC#{shard:02x}")
}

/// Whose a trading account is. The partition follows from the id, so that one account is found by its key, and all of
/// them without a scan.
pub(crate) fn trading_account_owner(account: TradingAccountId) -> Key {
    Key::new(trading_account_shard(account.shard()), format!("{TRADING_ACCOUNT_PREFIX}{account}"))
}

/// That nobody may read a person's broker credentials.
pub(crate) fn freeze(owner: AccountId) -> Key {
    Key::new(person(owner), "FREEZE")
}

/// How often a service has done something in one minute.
pub(crate) fn rate(operation: &str, service: &str, minute: i64) -> Key {
    Key::new(format!("RATE#{operation}#{}#{minute}", escaped(service)), "RATE")
}

/// Outcomes of a provider in one minute, as one of several counters.
pub(crate) fn provider_outcomes(provider: &str, shard: u8, minute: i64) -> Key {
    Key::new(provider_shard(provider, shard), format!("MIN#{minute:012}"))
}

/// One partition of a provider's outcomes.
pub(crate) fn provider_shard(provider: &str, shard: u8) -> String {
    format!("PROV#{}#{shard}", escaped(provider))
}

/// What a person said about a provider.
pub(crate) fn provider_mark(provider: &str) -> Key {
    Key::new(format!("PROV#{}", escaped(provider)), "MARK")
}

/// Something that was begun and can be finished once. The kind is part of the key, so that what was handed out for one
/// purpose is not even found for another.
pub(crate) fn challenge(kind: ChallengeKind, digest: &Digest) -> Key {
    let digits = digest.iter().fold(String::with_capacity(64), |mut digits, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    });
    Key::new(format!("CHAL#{}#{digits}", kind.as_str()), "CHAL")
}

/// Of revocations that lie in one partition.
const HOUR: i64 = 60 * 60;

/// A revocation of this time; the id tells apart those of one millisecond.
pub(crate) fn revocation(at: Timestamp, id: &str) -> Key {
    let hour = at.as_second().div_euclid(HOUR);
    Key::new(revocation_partition(hour), format!("{:015}#{id}", at.as_millisecond()))
}

/// The partitions that hold revocations of these times, oldest first.
pub(crate) fn revocation_partitions(from: Timestamp, to: Timestamp) -> impl Iterator<Item = String> {
    (from.as_second().div_euclid(HOUR)..=to.as_second().div_euclid(HOUR)).map(revocation_partition)
}

fn revocation_partition(hour: i64) -> String {
    format!("REVOKED#{hour}")
}

/// Where nothing ever stands, for whoever asks only whether the table answers.
pub(crate) fn nothing() -> Key {
    Key::new("NOTHING".to_owned(), "NOTHING")
}

/// The record of a request that may be repeated.
pub(crate) fn idempotency(operation: &str, key_digest: &str) -> Key {
    Key::new(format!("IDEM#{operation}#{}", escaped(key_digest)), "IDEM")
}

/// Free text with the separator and the escape itself written as `%XX`.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('#', "%23")
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use proptest::prelude::*;

    use super::*;
    use crate::id::Id;

    proptest! {
        #[test]
        fn no_text_forms_the_key_of_another_kind(text in ".{0,40}", other in ".{0,40}") {
            let now = Timestamp::UNIX_EPOCH;
            let account = Id::generate(now, &SystemEntropy).unwrap();
            let key = Id::generate(now, &SystemEntropy).unwrap();
            let session_id = Id::generate(now, &SystemEntropy).unwrap();
            let trading = Id::generate(now, &SystemEntropy).unwrap();
            let of_text = [
                credentials(&text),
                username(&text),
                idempotency("register", &text),
                rate("credentials", &text, 1),
                provider_outcomes(&text, 1, 1),
                provider_mark(&text),
            ];
            let of_ids = [
                nothing(),
                profile(account),
                last_login(account),
                factor(account),
                session(account, session_id),
                audit(account, now, 1),
                challenge(ChallengeKind::Mfa, &[0; 32]),
                api_key(account, key),
                api_key_owner(key),
                revocation(now, &session_id.to_string()),
                trading_account(account, trading),
                trading_account_owner(trading),
                freeze(account),
            ];
            let mut all: Vec<&Key> = of_text.iter().chain(&of_ids).collect();
            let count = all.len();
            all.sort_by_key(|key| (key.partition.clone(), key.sort.clone()));
            all.dedup();
            prop_assert_eq!(all.len(), count);
            prop_assert_eq!(credentials(&text) == credentials(&other), text == other);
        }
    }

    #[test]
    fn a_separator_in_an_address_stays_inside_its_component() {
        assert_eq!(credentials("a#b%c@example.com").partition, "EMAIL#a%23b%25c@example.com");
    }

    #[test]
    fn revocations_of_a_while_lie_in_the_hours_it_touches() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let hours = |from, to| revocation_partitions(at(from), at(to)).collect::<Vec<_>>();
        assert_eq!(hours(7_200, 10_799), [revocation(at(7_200), "").partition]);
        assert_eq!(
            hours(7_199, 7_200),
            [revocation(at(0), "").partition.replace('0', "1"), revocation(at(7_200), "").partition]
        );
        assert!(revocation(at(7_200), "").sort <= revocation(at(7_200), "ses_1").sort);
        assert!(revocation(at(7_200), "ses_1").sort < revocation(at(7_201), "").sort);
    }

    #[test]
    fn audit_events_sort_by_time_then_sequence() {
        let account = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        assert!(audit(account, at(999), 9).sort < audit(account, at(1_000), 1).sort);
        assert!(audit(account, at(1_000), 1).sort < audit(account, at(1_000), 0x10).sort);
    }
}
