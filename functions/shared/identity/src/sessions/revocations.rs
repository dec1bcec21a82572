//! The feed of revocations: sessions and accounts whose access tokens may not have expired yet, and signing keys that were
//! withdrawn, page by page.

use jiff::Timestamp;
use portcullis_store::{Frozen, RevocationEntry, RevocationPage};
use portcullis_verifier::revocation::{
    AccountCutoff, BLOCK, MAX_ENTRIES, Page, SLACK, Span, key_of, key_of_kid, newest_from,
};

use crate::Identity;
use crate::error::Error;

/// Seconds by which a verifier's clock may lag.
const LEEWAY: u64 = 5;
/// No page tells of more time, in milliseconds: it takes a query for each hour and shard.
const LONGEST_SPAN: u64 = 4 * BLOCK;

/// Far more keys than two days of rotations withdraw.
const MAX_WITHDRAWN: u16 = 64;
/// As many people as the edge is told of whose credentials are frozen: 400 KB of a page.
const MAX_FROZEN: usize = 16 * 1024;
/// The length of the id of a key: the SHA-256 of its numbers (RFC 7638) in base64url.
const KID: usize = 43;

impl Identity {
    /// Withdraws the signing key of this id: within seconds no edge believes what it signed, whatever copy of the published
    /// keys it has. The functions go on until it is rotated out of the secrets. Fails with [`Error::NotFound`] for what is
    /// no id of a key, and when the store does.
    pub async fn withdraw_signing_key(&self, kid: &str) -> Result<(), Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if kid.len() != KID || !kid.bytes().all(is_plain) {
            return Err(Error::NotFound);
        }
        Ok(self.store.withdraw_key(kid, self.clock.now()).await?)
    }

    /// Returns the page of what was revoked from `after` until `until`, or until now, in milliseconds since 1970; without
    /// `after`, the page that ends now. It may end earlier. `None` if the span is empty or of the future; fails when the
    /// store does.
    pub async fn revocations(
        &self,
        after: Option<u64>,
        until: Option<u64>,
    ) -> Result<Option<Vec<u8>>, Error> {
        // With the millisecond that is not over: what comes in it after the read is in the next page that ends now.
        let now = milliseconds(self.clock.now()) + 1;
        let from = after.unwrap_or_else(|| newest_from(now));
        let until = until.unwrap_or(now).min(now).min(from.saturating_add(LONGEST_SPAN));
        let (Some(start), Some(end)) = (timestamp(from), timestamp(until)) else { return Ok(None) };
        if from >= until {
            return Ok(None);
        }
        let is_newest = after.is_none();
        let withdrawn = async || {
            if !is_newest {
                return Ok(Vec::new());
            }
            self.store.withdrawn_keys(self.clock.now(), MAX_WITHDRAWN).await
        };
        let frozen = async || {
            if !is_newest {
                return Ok(Frozen::default());
            }
            self.store.frozen(self.clock.now(), MAX_FROZEN).await
        };
        let (page, withdrawn, frozen) =
            tokio::try_join!(self.store.revocations(start, end, MAX_ENTRIES), withdrawn(), frozen())?;
        if frozen.is_cut {
            tracing::error!(most = MAX_FROZEN, "more people are frozen than the edge is told of");
        }
        let kept_for = self.settings.access_token_ttl.as_secs() + SLACK / 1000 + LEEWAY;
        let span = Span { from, until: milliseconds(page.until) };
        let keys = withdrawn.iter().filter_map(|kid| key_of_kid(kid)).collect();
        let kept_for = u32::try_from(kept_for).unwrap_or(u32::MAX);
        Ok(Some(encode(&page, Standing { keys, frozen: &frozen }, span, now, kept_for)))
    }
}

/// What stands on the page that ends now, whenever it began.
#[derive(Debug)]
struct Standing<'a> {
    /// Keys of signing keys that were withdrawn.
    keys: Vec<u64>,
    frozen: &'a Frozen,
}

fn encode(page: &RevocationPage, standing: Standing<'_>, span: Span, as_of: u64, kept_for: u32) -> Vec<u8> {
    let Standing { keys: mut sessions, frozen } = standing;
    let people = frozen.people.iter().map(|id| AccountCutoff::frozen(key_of(id.number())));
    let everybody = frozen.everybody.then(AccountCutoff::everybody_frozen);
    let mut accounts: Vec<AccountCutoff> = people.chain(everybody).collect();
    for entry in &page.entries {
        match entry {
            RevocationEntry::Session { id, .. } => sessions.push(key_of(id.number())),
            RevocationEntry::Account { id, session_epoch, except, at } => accounts.push(AccountCutoff {
                account: key_of(id.number()),
                except: except.map_or(0, |id| key_of(id.number())),
                epoch: u32::try_from(*session_epoch).unwrap_or(u32::MAX),
                revoked_at: u32::try_from(at.as_second()).unwrap_or_default(),
            }),
        }
    }
    Page::encode(span, as_of, kept_for, sessions, accounts)
}

fn milliseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or_default()
}

fn timestamp(milliseconds: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(milliseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::{AccountId, Id};
    use portcullis_verifier::revocation::key;

    use super::*;

    #[test]
    fn a_page_covers_what_it_was_made_of() {
        let at = timestamp(1_760_000_000_000).unwrap();
        let id = Id::generate(at, &SystemEntropy).unwrap();
        let (account, erased) =
            (Id::generate(at, &SystemEntropy).unwrap(), Id::generate(at, &SystemEntropy).unwrap());
        let entries = vec![
            RevocationEntry::Session { id, at },
            RevocationEntry::Account { id: account, session_epoch: 3, except: Some(id), at },
            RevocationEntry::Account { id: erased, session_epoch: (1 << 53) - 1, except: None, at },
        ];
        let page = RevocationPage { entries, until: at };
        let span = Span { from: 1_759_999_999_000, until: 1_760_000_001_000 };
        let (frozen, free): (AccountId, AccountId) =
            (Id::generate(at, &SystemEntropy).unwrap(), Id::generate(at, &SystemEntropy).unwrap());
        let encoded = |everybody| {
            let frozen = Frozen { everybody, people: vec![frozen, account, frozen], is_cut: false };
            let standing = Standing { keys: Vec::new(), frozen: &frozen };
            Page::parse(encode(&page, standing, span, span.until, 960)).unwrap()
        };
        let (of_all, page) = (encoded(true), encoded(false));
        let key = |text: String| key(&text).unwrap();
        let (id, account, erased) = (key(id.to_string()), key(account.to_string()), key(erased.to_string()));
        let [frozen, free] = [frozen.to_string(), free.to_string()].map(key);
        for listed in [frozen, account] {
            assert!(page.freezes(listed) && of_all.freezes(listed));
        }
        assert!(!page.freezes(free) && of_all.freezes(free));
        // It ends no token, and nobody learns anew what they know.
        assert!(!page.covers(1, frozen, 0) && !of_all.covers(1, free, 0) && !page.concerns(frozen, 0));
        assert!(page.covers(id, 0, 0) && !page.covers(account, 0, 0));
        assert!(page.covers(1, account, 2) && !page.covers(1, account, 3));
        assert!(page.covers(1, erased, 1_000_000));
        assert!(page.concerns(account, 1_760_000_000) && !page.concerns(account, 1_760_000_001));
    }
}
