//! The feed of revocations: sessions and accounts whose access tokens may not have expired yet.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_store::{AccountId, RevocationEntry, SessionId};

use crate::Identity;
use crate::error::Error;

/// The revocations of the lifetime of an access token, in an order that depends on their content alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Sessions that were ended one by one, and when.
    pub sessions: BTreeMap<SessionId, Timestamp>,
    /// Accounts whose tokens of an earlier session epoch were revoked, except those of one session, if one is named.
    pub accounts: BTreeMap<(AccountId, Option<SessionId>), SessionEpochStart>,
}

/// The session epoch of an account from which on tokens are valid. Numbers decide and not times: a sign-in within the
/// second of a revocation is not refused, and a token issued during one does not slip through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionEpochStart {
    /// The number of the session epoch.
    pub session_epoch: u64,
    /// When it began.
    pub at: Timestamp,
}

impl Identity {
    /// Returns everything that was revoked within the lifetime of an access token; fails when the store does.
    pub async fn revocations(&self) -> Result<Revocations, Error> {
        let entries = self.store.revocations(self.clock.now(), self.settings.access_token_ttl).await?;
        Ok(entries.into_iter().collect())
    }
}

impl FromIterator<RevocationEntry> for Revocations {
    fn from_iter<I: IntoIterator<Item = RevocationEntry>>(entries: I) -> Self {
        let mut listed = Self::default();
        for entry in entries {
            match entry {
                RevocationEntry::Session { id, at } => {
                    listed.sessions.insert(id, at);
                }
                RevocationEntry::Account { id, session_epoch, except, at } => {
                    let began = SessionEpochStart { session_epoch, at };
                    // The later of two ends all that the earlier ended.
                    let known = listed.accounts.entry((id, except)).or_insert(began);
                    *known = began.max(*known);
                }
            }
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::Id;

    use super::*;

    #[test]
    fn of_an_account_the_latest_epoch_counts() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let id = Id::generate(at(0), &SystemEntropy).unwrap();
        let kept = Some(Id::generate(at(0), &SystemEntropy).unwrap());
        let entry = |session_epoch, except, second| RevocationEntry::Account {
            id,
            session_epoch,
            except,
            at: at(second),
        };
        let listed: Revocations =
            [entry(2, None, 9), entry(1, None, 10), entry(3, kept, 11)].into_iter().collect();
        assert_eq!(listed.accounts.len(), 2);
        assert_eq!(listed.accounts[&(id, None)], SessionEpochStart { session_epoch: 2, at: at(9) });
        assert_eq!(listed.accounts[&(id, kept)], SessionEpochStart { session_epoch: 3, at: at(11) });
    }
}
