//! API keys the identity service was asked about a moment ago.

use std::num::NonZeroUsize;
use std::rc::Rc;

use portcullis_verifier::policy::Grant;
use serde::Deserialize;

use crate::Millis;
use crate::caller::Caller;
use crate::remembered::{Cache, Fingerprint, cache};

/// How long an answer counts: a key that is withdrawn works no longer than this.
const LIFETIME: Millis = 30_000;
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Longer answers are not looked at.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// The answers, by the digest of the key.
#[derive(Debug)]
pub(crate) struct ApiKeys(Cache<Known>);

#[derive(Debug)]
struct Known {
    /// `None` for a key that is not good.
    caller: Option<Rc<Caller>>,
    until: Millis,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing<'k> {
    Good(&'k Rc<Caller>),
    Bad,
    /// The identity service has to be asked.
    Unknown,
}

/// What the identity service answers.
#[derive(Debug, Deserialize)]
struct Answer {
    active: bool,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

/// The identity service answered something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer about an API key is malformed")]
pub struct MalformedAnswer;

impl Answer {
    /// Who holds the key. A scope that is none narrows the key to something nobody knows: the whole answer is refused.
    fn holder(self, proven_at: u64) -> Result<Caller, MalformedAnswer> {
        let user_id = self.user_id.filter(|id| !id.is_empty()).ok_or(MalformedAnswer)?;
        let scopes = self.scopes.unwrap_or_default();
        let scopes: Result<Vec<Grant>, _> = scopes.iter().map(|scope| scope.parse()).collect();
        Ok(Caller::with_key(
            user_id,
            self.roles.unwrap_or_default(),
            scopes.map_err(|_| MalformedAnswer)?,
            proven_at,
        ))
    }
}

impl ApiKeys {
    pub(crate) fn new() -> Self {
        Self(cache(CAPACITY))
    }

    pub(crate) fn find(&mut self, key: Fingerprint, now: Millis) -> Standing<'_> {
        match self.0.get(&key) {
            Some(Known { caller, until }) if now < *until => {
                caller.as_ref().map_or(Standing::Bad, Standing::Good)
            }
            _ => Standing::Unknown,
        }
    }

    /// Drops what is known of a key, so that it is asked about again.
    pub(crate) fn forget(&mut self, key: Fingerprint) {
        self.0.pop(&key);
    }

    /// Takes the answer to a question put at `asked_at`. A key with an end counts no longer than that.
    pub(crate) fn answered(
        &mut self,
        key: Fingerprint,
        json: &[u8],
        ends_at: Option<Millis>,
        asked_at: Millis,
    ) -> Result<(), MalformedAnswer> {
        if json.len() > MAX_ANSWER_BYTES {
            return Err(MalformedAnswer);
        }
        let answer: Answer = serde_json::from_slice(json).map_err(|_| MalformedAnswer)?;
        let caller = if answer.active { Some(Rc::new(answer.holder(asked_at / 1000)?)) } else { None };
        let until = asked_at.saturating_add(LIFETIME).min(ends_at.unwrap_or(Millis::MAX));
        self.0.put(key, Known { caller, until });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = br#"{"active":true,"user_id":"usr_a","roles":["user"],"scopes":["portfolio:read"],"expires_at":null}"#;

    #[test]
    fn an_answer_counts_for_half_a_minute() {
        let (mut keys, key) = (ApiKeys::new(), Fingerprint::of("a key"));
        assert_eq!(keys.find(key, 0), Standing::Unknown);
        keys.answered(key, GOOD, None, 0).unwrap();
        assert!(
            matches!(keys.find(key, 29_999), Standing::Good(caller) if caller.reaches("portfolio", None))
        );
        assert_eq!(keys.find(key, 30_000), Standing::Unknown);
        assert_eq!(keys.find(Fingerprint::of("a kez"), 0), Standing::Unknown, "another key");
        keys.answered(key, br#"{"active":false,"roles":null}"#, None, 30_000).unwrap();
        assert_eq!(keys.find(key, 30_001), Standing::Bad);
    }

    #[test]
    fn a_key_ends_when_it_ends() {
        let (mut keys, key) = (ApiKeys::new(), Fingerprint::of("a key"));
        keys.answered(key, GOOD, Some(1000), 0).unwrap();
        assert!(matches!(keys.find(key, 999), Standing::Good(_)));
        assert_eq!(keys.find(key, 1000), Standing::Unknown);
    }

    #[test]
    fn an_answer_that_is_none_opens_nothing() {
        let (mut keys, key) = (ApiKeys::new(), Fingerprint::of("a key"));
        for json in [
            &b""[..],
            b"{}",
            b"null",
            br#"{"active":true}"#,
            br#"{"active":true,"user_id":""}"#,
            br#"{"active":"true","user_id":"usr_a"}"#,
            br#"{"active":true,"user_id":"usr_a","roles":"admin"}"#,
            br#"{"active":true,"user_id":"usr_a","roles":["user"],"scopes":["everything"]}"#,
        ] {
            assert_eq!(keys.answered(key, json, None, 0), Err(MalformedAnswer));
            assert_eq!(keys.find(key, 0), Standing::Unknown);
        }
    }
}
