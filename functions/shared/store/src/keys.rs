//! The keys of the table: every partition and sort key is made here and nowhere else.
//!
//! Each kind has a prefix of its own, and free text is escaped, so that no input can form the key of another record.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::challenge_kind::ChallengeKind;
use crate::digest::Digest;
use crate::freezes::Freezer;
use crate::id::{AccountId, ApiKeyId, ApprovalId, AuditId, Id, Kind, PasskeyId, SessionId, TradingAccountId};
use crate::reading_leases::LeasePlace;
use crate::session_news::DueSessionNews;

/// Name of the partition key attribute.
pub(crate) const PARTITION: &str = "pk";
/// Name of the sort key attribute.
pub(crate) const SORT: &str = "sk";
/// Name of the attribute DynamoDB's time to live follows, in Unix seconds.
pub(crate) const TTL: &str = "expires_ttl";
/// What the sort keys of sessions begin with.
pub(crate) const SESSION_PREFIX: &str = "SES#";

/// Name of the index in which accounts and the audit trail are listed.
pub(crate) const LISTING: &str = "listing";
/// Name of the index's partition key attribute.
pub(crate) const LIST_PARTITION: &str = "list_pk";
/// Name of the index's sort key attribute.
pub(crate) const LIST_SORT: &str = "list_sk";
/// Partitions over which all accounts are spread in the index.
pub(crate) const PEOPLE_SHARDS: u8 = 4;
/// Partitions over which every day is spread in the index; a day that is spread over more says so in a row.
pub const FEWEST_DAY_SHARDS: u8 = 8;
/// Partitions over which a day may be spread: a list by time asks each of them.
pub const MOST_DAY_SHARDS: u8 = 128;

/// The sort key of an account.
pub(crate) const PROFILE: &str = "PROFILE";
/// What the sort keys of the audit trail begin with.
pub(crate) const AUDIT_PREFIX: &str = "AUD#";
/// The sort key of the head of a chain of the audit trail.
pub(crate) const AUDIT_HEAD: &str = "AUD#HEAD";
/// No chain is longer.
pub(crate) const LAST_RECORD: u64 = 999_999_999_999;

/// What the sort keys of API keys begin with.
pub(crate) const API_KEY_PREFIX: &str = "KEY#";

/// What the sort keys of passkeys begin with.
pub(crate) const PASSKEY_PREFIX: &str = "PASSKEY#";

/// What the sort keys of approvals begin with, among their owner's.
pub(crate) const APPROVAL_PREFIX: &str = "APPROVAL#";

/// What the sort keys of trading accounts begin with, among their owner's rows and in the lookup.
pub(crate) const TRADING_ACCOUNT_PREFIX: &str = "ACC#";

/// What the sort keys of the positions of a sweep begin with.
pub(crate) const SWEEP_SHARD_PREFIX: &str = "SHARD#";

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

// Each kind of row of a person has a partition of its own, because that is what a policy of AWS tells apart: a function that
// may write sessions must not be able to write roles or a second factor for that.

/// What the partitions of accounts begin with.
pub(crate) const ACCOUNT_PARTITION: &str = "ACCOUNT#";

/// Profile, roles and session epoch.
pub(crate) fn profile(account: AccountId) -> Key {
    Key::new(format!("{ACCOUNT_PARTITION}{account}"), PROFILE)
}

/// What happened to an account, sign-ins apart.
pub(crate) fn trail(account: AccountId) -> String {
    format!("{TRAIL_PARTITION}{account}")
}

/// What the partitions of the trails of accounts begin with.
pub(crate) const TRAIL_PARTITION: &str = "AUDIT#";

/// All sessions of an account.
pub(crate) fn sessions(account: AccountId) -> String {
    format!("SESSIONS#{account}")
}

/// One session, among those of its account.
pub(crate) fn session(account: AccountId, session: SessionId) -> Key {
    Key::new(sessions(account), format!("{SESSION_PREFIX}{session}"))
}

/// Sign-ins under a name. It is digested: people type passwords where a name belongs, and most names that are guessed
/// at are nobody's.
pub(crate) fn sign_ins(name: &str) -> String {
    format!("SIGNIN#{}", digested(name))
}

/// One record of the audit trail whose chain lies in this partition.
pub(crate) fn audit(partition: &str, number: u64) -> Key {
    Key::new(partition.to_owned(), format!("{AUDIT_PREFIX}{number:012}"))
}

/// The head of the audit trail in this partition; it sorts after all records.
pub(crate) fn audit_head(partition: &str) -> Key {
    Key::new(partition.to_owned(), AUDIT_HEAD)
}

/// Accounts that are administrators and may be used.
pub(crate) fn admins() -> Key {
    Key::new("ADMINS#ALL".to_owned(), "ADMINS")
}

/// In the index: where a record of this id is listed on a day that is spread over so many partitions.
pub(crate) fn day(id: AuditId, shards: u8) -> String {
    day_shard(id.created_at(), id.shard(u16::from(shards)))
}

/// The partition that says over how many partitions of the index days are spread.
pub(crate) const DAYS: &str = "DAYS#ALL";

/// Over how many partitions of the index a day is spread.
pub(crate) fn spread_of_day(at: Timestamp) -> Key {
    Key::new(DAYS.to_owned(), day_of(at))
}

/// In the index: one of the partitions of a day.
pub(crate) fn day_shard(at: Timestamp, shard: u8) -> String {
    format!("DAY#{}#{shard}", day_of(at))
}

/// The day of a time, in UTC.
pub(crate) fn day_of(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// The last millisecond of a day, in UTC.
pub(crate) fn end_of_day(at: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400_000;
    let end = at.as_millisecond().div_euclid(DAY) * DAY + DAY - 1;
    Timestamp::from_millisecond(end).unwrap_or(at)
}

/// In the index: what the ids of records of this time and later are not below.
pub(crate) fn listed_from(at: Timestamp) -> String {
    format!("aud_{:012x}", at.as_millisecond().max(0))
}

/// In the index: one of the partitions of all accounts.
pub(crate) fn people(shard: u8) -> String {
    format!("PEOPLE#{shard}")
}

/// The second factor of a person, with its backup codes and the count of wrong codes.
pub(crate) fn factor(account: AccountId) -> Key {
    Key::new(format!("FACTOR#{account}"), "FACTOR")
}

/// All passkeys of an account.
pub(crate) fn passkeys(account: AccountId) -> String {
    format!("PASSKEYS#{account}")
}

/// One passkey, among its owner's.
pub(crate) fn passkey(account: AccountId, passkey: PasskeyId) -> Key {
    Key::new(passkeys(account), format!("{PASSKEY_PREFIX}{passkey}"))
}

/// The owner of a credential. Its id is digested: authenticators choose it, and it may be longer than a key.
pub(crate) fn passkey_owner(credential_id: &[u8]) -> Key {
    let digest = digest(&SHA256, credential_id);
    Key::new(format!("PASSKEY#{}", hex::encode(digest.as_ref())), "PASSKEY")
}

/// All API keys of an account.
pub(crate) fn api_keys(account: AccountId) -> String {
    format!("APIKEYS#{account}")
}

/// One API key, among its owner's.
pub(crate) fn api_key(account: AccountId, key: ApiKeyId) -> Key {
    Key::new(api_keys(account), format!("{API_KEY_PREFIX}{key}"))
}

/// The owner of an API key.
pub(crate) fn api_key_owner(key: ApiKeyId) -> Key {
    Key::new(format!("KEY#{key}"), "KEY")
}

/// What a person entrusted to the service for brokers.
pub(crate) fn vault(owner: AccountId) -> String {
    format!("VAULT#{owner}")
}

/// One trading account of its owner.
pub(crate) fn trading_account(owner: AccountId, account: TradingAccountId) -> Key {
    Key::new(vault(owner), format!("{TRADING_ACCOUNT_PREFIX}{account}"))
}

/// How many partitions the owners of trading accounts are spread over.
pub(crate) const LOOKUP_SHARDS: u16 = 256;

/// One partition of the owners of trading accounts.
pub(crate) fn trading_account_shard(shard: u8) -> String {
    format!("ACC#{shard:02x}")
}

/// The owner of a trading account. The partition follows from the id, so that one account is found by its key, and all
/// of them without a scan.
pub(crate) fn trading_account_owner(account: TradingAccountId) -> Key {
    Key::new(
        trading_account_shard(account.shard(LOOKUP_SHARDS)),
        format!("{TRADING_ACCOUNT_PREFIX}{account}"),
    )
}

/// How many partitions letters about sessions are spread over: in the morning all sessions of a broker end at once.
pub(crate) const SESSION_NEWS_SHARDS: u8 = 16;

/// One partition of the letters about sessions.
pub(crate) fn session_news_shard(shard: u8) -> String {
    format!("ENDS#{shard:02x}")
}

/// A letter about a session. They are in the order in which they are due.
pub(crate) fn session_news(news: &DueSessionNews) -> Key {
    let shard = news.id.shard(SESSION_NEWS_SHARDS.into());
    Key::new(session_news_shard(shard), format!("{}#{}", milliseconds(news.due_at), news.id))
}

/// What comes after all letters that are due at this time.
pub(crate) fn session_news_after(now: Timestamp) -> String {
    // The next character after `#`.
    format!("{}$", milliseconds(now))
}

fn milliseconds(at: Timestamp) -> String {
    format!("{:015}", at.as_millisecond().max(0))
}

/// What the sort keys of a person's freezes begin with.
pub(crate) const FREEZE_PREFIX: &str = "FREEZE";

/// That a person's broker credentials must not be read, because the person says so.
pub(crate) fn freeze(owner: AccountId) -> Key {
    Key::new(vault(owner), FREEZE_PREFIX)
}

/// The same, because an administrator says so.
pub(crate) fn freeze_by_admin(owner: AccountId) -> Key {
    Key::new(vault(owner), format!("{FREEZE_PREFIX}#ADMIN"))
}

/// The partition that lists whose broker credentials are frozen.
pub(crate) const FROZEN: &str = "FREEZE#ALL";
/// What the sort keys of those begin with that an administrator froze. They come before those who froze their own, and
/// everybody before all.
pub(crate) const FROZEN_BY_ADMIN: &str = "PERSON#ADMIN#";

/// That nobody's broker credentials must be read.
pub(crate) fn frozen_everybody() -> Key {
    Key::new(FROZEN.to_owned(), "EVERYBODY")
}

/// In the list: that a person's broker credentials are frozen.
pub(crate) fn frozen_person(owner: AccountId, freezer: Freezer) -> Key {
    let prefix = match freezer {
        Freezer::Admin => FROZEN_BY_ADMIN,
        Freezer::Owner => "PERSON#SELF#",
    };
    Key::new(FROZEN.to_owned(), format!("{prefix}{owner}"))
}

/// How often a person's credentials were frozen: unlike the freeze itself it stays when that is lifted.
pub(crate) fn freeze_count(owner: AccountId) -> Key {
    // Not with the prefix of freezes: it is none.
    Key::new(vault(owner), "TIMES-FROZEN")
}

/// What services were given of a person's trading accounts for a time.
pub(crate) fn reading_leases(owner: AccountId) -> String {
    format!("READINGS#{owner}")
}

/// What the sort keys of the leases of one trading account begin with.
pub(crate) fn leases_of_account(account: TradingAccountId) -> String {
    format!("{TRADING_ACCOUNT_PREFIX}{account}#")
}

/// One lease of a reading.
pub(crate) fn reading_lease(place: &LeasePlace<'_>) -> Key {
    let LeasePlace { owner, trading_account, service, purpose } = *place;
    Key::new(
        reading_leases(owner),
        format!("{}{}#{}", leases_of_account(trading_account), escaped(service), escaped(purpose)),
    )
}

/// All approvals that a person was asked for.
pub(crate) fn approvals(owner: AccountId) -> String {
    format!("APPROVALS#{owner}")
}

/// One approval, among those of its owner.
pub(crate) fn approval(owner: AccountId, approval: ApprovalId) -> Key {
    Key::new(approvals(owner), format!("{APPROVAL_PREFIX}{approval}"))
}

/// The same approval, for whoever knows its id alone: a service that redeems it.
pub(crate) fn approval_by_id(approval: ApprovalId) -> Key {
    Key::new(format!("APPROVAL#{approval}"), "APPROVAL")
}

/// How many approvals a person is asked for at the moment, and how many they were lately.
pub(crate) fn open_approvals(owner: AccountId) -> Key {
    Key::new(approvals(owner), "OPEN")
}

/// How often a service has done something in one minute.
pub(crate) fn service_rate(operation: &str, service: &str, minute: i64) -> Key {
    Key::new(format!("RATE#SERVICE#{operation}#{}#{minute}", escaped(service)), "RATE")
}

/// The partition of what is known about the tokens of a service.
pub(crate) fn service(name: &str) -> String {
    format!("SERVICE#{}", escaped(name))
}

/// That a token of a service is in use.
pub(crate) fn service_token(name: &str, fingerprint: &str) -> Key {
    Key::new(service(name), format!("TOKEN#{fingerprint}"))
}

/// The partition of signing keys that were withdrawn.
pub(crate) fn withdrawn_keys() -> String {
    "WITHDRAWN#KEYS".to_owned()
}

/// That a signing key was withdrawn.
pub(crate) fn withdrawn_key(kid: &str) -> Key {
    Key::new(withdrawn_keys(), format!("KEY#{}", escaped(kid)))
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
    Key::new(format!("CHAL#{}#{}", kind.as_str(), hex::encode(digest)), "CHAL")
}

/// The count of attempts under a name, which is digested like that of a sign-in.
pub(crate) fn attempts(name: &str) -> Key {
    Key::new(format!("GUESS#{}", digested(name)), "GUESS")
}

/// How much a client address did inside one window of time.
pub(crate) fn address_rate(address: &str, window: i64) -> Key {
    Key::new(format!("RATE#ADDRESS#{}#{window}", escaped(address)), "RATE")
}

/// How often somebody did something inside one window of time. Who it was is digested: it may be an email address.
pub(crate) fn uses(what: &str, who: &str, window: i64) -> Key {
    Key::new(format!("RATE#USE#{what}#{}#{window}", digested(who)), "RATE")
}

/// In the row of an address: the count of somebody behind it.
pub(crate) fn member_count(who: &str) -> String {
    let digest = digest(&SHA256, who.as_bytes());
    format!("by_{}", hex::encode(digest.as_ref().get(..8).unwrap_or_default()))
}

/// Who does a scheduled job at the moment.
pub(crate) fn lease(job: &str) -> Key {
    Key::new(format!("LEASE#{}", escaped(job)), "LEASE")
}

/// The last sweep of a scheduled job.
pub(crate) fn sweep(job: &str) -> Key {
    Key::new(format!("SWEEP#{}", escaped(job)), "SWEEP")
}

/// How far the last sweep of a scheduled job came in one shard.
pub(crate) fn sweep_position(job: &str, shard: u8) -> Key {
    Key::new(sweep(job).partition, format!("{SWEEP_SHARD_PREFIX}{shard:02x}"))
}

/// The shard in the sort key of [`sweep_position`].
pub(crate) fn shard_swept(sort: &str) -> Option<u8> {
    u8::from_str_radix(sort.strip_prefix(SWEEP_SHARD_PREFIX)?, 16).ok()
}

/// Seconds of revocations that lie in the same partitions.
const HOUR: i64 = 60 * 60;

/// How many partitions the revocations of an hour are spread over, by the random bits of their ids. One partition takes
/// 1,000 write units a second, and a row of less than 1 KB costs one, or two in a transaction: 1,000 ended sessions or 500
/// raised epochs a second each, 8,000 or 4,000 together. A reader of the feed pays one query for each, a read unit at least.
pub(crate) const REVOCATION_SHARDS: u8 = 8;

/// A revocation of this time; the id tells apart those of one millisecond.
pub(crate) fn revocation<K: Kind>(at: Timestamp, id: Id<K>) -> Key {
    let hour = at.as_second().div_euclid(HOUR);
    Key::new(
        revocation_partition(hour, id.shard(u16::from(REVOCATION_SHARDS))),
        format!("{}#{id}", revocations_from(at)),
    )
}

/// What the sort keys of revocations of this time begin with.
pub(crate) fn revocations_from(at: Timestamp) -> String {
    format!("{:015}", at.as_millisecond())
}

/// The time and the id of a revocation's sort key.
pub(crate) fn revocation_parts(sort: &str) -> Option<(Timestamp, &str)> {
    let (at, id) = sort.split_once('#')?;
    Some((Timestamp::from_millisecond(at.parse().ok()?).ok()?, id))
}

/// The partitions that hold revocations of these times.
pub(crate) fn revocation_partitions(from: Timestamp, to: Timestamp) -> impl Iterator<Item = String> {
    (from.as_second().div_euclid(HOUR)..=to.as_second().div_euclid(HOUR))
        .flat_map(|hour| (0..REVOCATION_SHARDS).map(move |shard| revocation_partition(hour, shard)))
}

fn revocation_partition(hour: i64, shard: u8) -> String {
    format!("REVOKED#{hour}#{shard}")
}

/// What a table says of itself.
pub(crate) fn deployment() -> Key {
    Key::new("DEPLOYMENT".to_owned(), "DEPLOYMENT")
}

/// Where no row ever stands, for a check that the table responds.
pub(crate) fn nothing() -> Key {
    Key::new("NOTHING".to_owned(), "NOTHING")
}

/// The record of a request that may be repeated.
pub(crate) fn idempotency(operation: &str, key_digest: &str) -> Key {
    Key::new(format!("IDEM#{operation}#{}", escaped(key_digest)), "IDEM")
}

fn digested(name: &str) -> String {
    hex::encode(digest(&SHA256, name.as_bytes()).as_ref())
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

    proptest! {
        #[test]
        fn no_text_forms_the_key_of_another_kind(text in ".{0,40}", other in ".{0,40}") {
            let now = Timestamp::UNIX_EPOCH;
            let account = Id::generate(now, &SystemEntropy).unwrap();
            let key = Id::generate(now, &SystemEntropy).unwrap();
            let session_id = Id::generate(now, &SystemEntropy).unwrap();
            let trading = Id::generate(now, &SystemEntropy).unwrap();
            let passkey_id = Id::generate(now, &SystemEntropy).unwrap();
            let approval_id = Id::generate(now, &SystemEntropy).unwrap();
            let of_text = [
                credentials(&text),
                username(&text),
                idempotency("register", &text),
                service_rate("credentials", &text, 1),
                service_token(&text, "1"),
                withdrawn_key(&text),
                provider_outcomes(&text, 1, 1),
                provider_mark(&text),
                attempts(&text),
                address_rate(&text, 1),
                uses("register", &text, 1),
                lease(&text),
                sweep(&text),
                sweep_position(&text, 1),
                audit(&sign_ins(&text), 1),
                audit_head(&sign_ins(&text)),
                passkey_owner(text.as_bytes()),
            ];
            let of_ids = [
                deployment(),
                nothing(),
                admins(),
                spread_of_day(now),
                profile(account),
                factor(account),
                session(account, session_id),
                audit(&trail(account), 1),
                audit_head(&trail(account)),
                challenge(ChallengeKind::Mfa, &[0; 32]),
                challenge(ChallengeKind::Enrolment, &[0; 32]),
                challenge(ChallengeKind::Recovery, &[0; 32]),
                challenge(ChallengeKind::PasswordReset, &[0; 32]),
                challenge(ChallengeKind::PasswordRotation, &[0; 32]),
                challenge(ChallengeKind::EmailVerification, &[0; 32]),
                challenge(ChallengeKind::PasskeyCreation, &[0; 32]),
                challenge(ChallengeKind::FirstPasskeyCreation, &[0; 32]),
                challenge(ChallengeKind::PasskeyAssertion, &[0; 32]),
                challenge(ChallengeKind::Approval, &[0; 32]),
                approval(account, approval_id),
                approval_by_id(approval_id),
                open_approvals(account),
                passkey(account, passkey_id),
                api_key(account, key),
                api_key_owner(key),
                revocation(now, session_id),
                trading_account(account, trading),
                trading_account_owner(trading),
                freeze(account),
                freeze_count(account),
                freeze_by_admin(account),
                frozen_everybody(),
                frozen_person(account, Freezer::Owner),
                frozen_person(account, Freezer::Admin),
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
        let count = |from, to| revocation_partitions(at(from), at(to)).count();
        let shards = usize::from(REVOCATION_SHARDS);
        assert_eq!((count(7_200, 10_799), count(7_199, 7_200)), (shards, 2 * shards));
        let id: SessionId = Id::generate(at(7_200), &SystemEntropy).unwrap();
        let key = revocation(at(7_200), id);
        assert!(revocation_partitions(at(7_200), at(7_200)).any(|partition| partition == key.partition));
        assert!(revocations_from(at(7_200)) < key.sort && key.sort < revocations_from(at(7_201)));
        assert_eq!(revocation_parts(&key.sort), Some((at(7_200), id.to_string().as_str())));
    }

    #[test]
    fn revocations_of_one_moment_are_spread_over_all_shards() {
        let now = Timestamp::UNIX_EPOCH;
        let mut partitions = HashMap::<_, u32>::new();
        for _ in 0..800 {
            let id: SessionId = Id::generate(now, &SystemEntropy).unwrap();
            *partitions.entry(revocation(now, id).partition).or_default() += 1;
        }
        assert_eq!(partitions.len(), usize::from(REVOCATION_SHARDS));
        assert!(partitions.values().all(|count| (50..150).contains(count)), "{partitions:?}");
    }

    #[test]
    fn records_sort_by_number_and_the_head_comes_last() {
        assert!(audit("a", 9).sort < audit("a", 10).sort);
        assert!(audit("a", LAST_RECORD).sort < audit_head("a").sort);
        assert_eq!(audit("a", LAST_RECORD).sort.len(), audit("a", 1).sort.len());
    }

    #[test]
    fn a_record_is_listed_on_its_day_between_the_bounds_of_its_time() {
        let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
        let id: AuditId = Id::generate(at(86_400_000), &SystemEntropy).unwrap();
        assert!(day(id, 8).starts_with("DAY#1970-01-02#"));
        assert!(listed_from(at(86_400_000)) < id.to_string());
        assert!(listed_from(at(86_400_001)) > id.to_string());
        assert_eq!(end_of_day(at(86_400_000)), at(172_799_999));
    }
}
