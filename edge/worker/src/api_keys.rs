//! API keys that were looked up at the identity service a moment ago.

use std::num::NonZeroUsize;
use std::rc::Rc;

use portcullis_verifier::StrictValue;
use portcullis_verifier::policy::Grant;

use crate::Millis;
use crate::caller::Caller;
use crate::remembered::{Cache, Fingerprint, cache};

/// How long a look-up counts: a key that is withdrawn works no longer than this.
const LIFETIME: Millis = 30_000;
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Longer responses are not read.
const MAX_LOOKUP_BYTES: usize = 16 * 1024;

/// The results, by the digest of the key.
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
pub(crate) enum KeyStatus<'k> {
    Good(&'k Rc<Caller>),
    Bad,
    /// The identity service has to be asked.
    Unknown,
}

/// The response of the identity service cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the response about an API key is malformed")]
pub struct MalformedLookup;

/// Who holds a key that is good. A scope that is none narrows the key to something unknown: the whole response is refused.
fn holder(answer: &StrictValue, proven_at: u64) -> Result<Caller, MalformedLookup> {
    let user_id = answer.member("user_id").and_then(StrictValue::as_text).filter(|id| !id.is_empty());
    let texts = |name| match answer.member(name) {
        Some(list) => list.as_texts().ok_or(MalformedLookup),
        None => Ok(Vec::new()),
    };
    let roles = texts("roles")?.into_iter().map(str::to_owned).collect();
    let scopes: Result<Vec<Grant>, _> = texts("scopes")?.into_iter().map(str::parse).collect();
    let scopes = scopes.map_err(|_| MalformedLookup)?;
    Ok(Caller::with_key(user_id.ok_or(MalformedLookup)?.to_owned(), roles, scopes, proven_at))
}

impl ApiKeys {
    pub(crate) fn new() -> Self {
        Self(cache(CAPACITY))
    }

    pub(crate) fn find(&mut self, key: Fingerprint, now: Millis) -> KeyStatus<'_> {
        match self.0.get(&key) {
            Some(Known { caller, until }) if now < *until => {
                caller.as_ref().map_or(KeyStatus::Bad, KeyStatus::Good)
            }
            _ => KeyStatus::Unknown,
        }
    }

    /// Drops what is known of a key, so that it is asked about again.
    pub(crate) fn forget(&mut self, key: Fingerprint) {
        self.0.pop(&key);
    }

    /// Takes the response to a look-up made at `asked_at`. A key with an end counts no longer than that; `time` reads it.
    pub(crate) fn looked_up(
        &mut self,
        key: Fingerprint,
        json: &[u8],
        time: &dyn Fn(&str) -> Millis,
        asked_at: Millis,
    ) -> Result<(), MalformedLookup> {
        if json.len() > MAX_LOOKUP_BYTES {
            return Err(MalformedLookup);
        }
        let answer = StrictValue::parse(json).ok_or(MalformedLookup)?;
        let ends_at = match answer.member("expires_at") {
            Some(end) => time(end.as_text().ok_or(MalformedLookup)?),
            None => Millis::MAX,
        };
        let caller = match answer.member("active") {
            Some(StrictValue::Flag(true)) => Some(holder(&answer, asked_at / 1000)?),
            Some(StrictValue::Flag(false)) => None,
            _ => return Err(MalformedLookup),
        };
        let caller = caller.map(|holder| Rc::new(Caller { ends_at, ..holder }));
        let until = asked_at.saturating_add(LIFETIME).min(ends_at);
        self.0.put(key, Known { caller, until });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Millis {
        text.parse().unwrap()
    }

    const GOOD: &[u8] = br#"{"active":true,"user_id":"usr_a","roles":["user"],"scopes":["portfolio:read"],"expires_at":null}"#;

    #[test]
    fn an_answer_counts_for_half_a_minute() {
        let (mut keys, key) = (ApiKeys::new(), Fingerprint::of("a key"));
        assert_eq!(keys.find(key, 0), KeyStatus::Unknown);
        keys.looked_up(key, GOOD, &time, 0).unwrap();
        assert!(
            matches!(keys.find(key, 29_999), KeyStatus::Good(caller) if caller.reaches("portfolio", None))
        );
        assert_eq!(keys.find(key, 30_000), KeyStatus::Unknown);
        assert_eq!(keys.find(Fingerprint::of("a kez"), 0), KeyStatus::Unknown, "another key");
        keys.looked_up(key, br#"{"active":false,"roles":null}"#, &time, 30_000).unwrap();
        assert_eq!(keys.find(key, 30_001), KeyStatus::Bad);
    }

    #[test]
    fn a_key_ends_when_it_ends() {
        let (mut keys, key) = (ApiKeys::new(), Fingerprint::of("a key"));
        let ending = String::from_utf8_lossy(GOOD).replace("null", "\"1000\"");
        keys.looked_up(key, ending.as_bytes(), &time, 0).unwrap();
        assert!(matches!(keys.find(key, 999), KeyStatus::Good(_)));
        assert_eq!(keys.find(key, 1000), KeyStatus::Unknown);
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
            assert_eq!(keys.looked_up(key, json, &time, 0), Err(MalformedLookup));
            assert_eq!(keys.find(key, 0), KeyStatus::Unknown);
        }
    }
}
