//! Tokens whose signature was valid a moment ago, so that the next request with one costs a digest and a look.
//!
//! A token is known by the SHA-256 of all its bytes, never by a part of it: two tokens that differ anywhere share
//! nothing. What is remembered is who the token speaks for and until when; whether that is still to be believed (key
//! withdrawn, session revoked) and where it leads is decided anew for every request.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;
use portcullis_verifier::Claims;
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;

/// About 2 MiB of an isolate's 128.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The SHA-256 of a whole token, API key or key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

/// A digest is as good as random: some of its bits find its place, and all of them are compared there.
impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let some = self.0.first_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_le_bytes(some));
    }
}

/// Hands on the bits of a [`Fingerprint`].
#[derive(Debug, Default)]
pub(crate) struct OwnBits(u64);

impl Hasher for OwnBits {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 ^= bits;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A bounded memory that drops what was not asked for longest.
pub(crate) type Cache<V> = LruCache<Fingerprint, V, BuildHasherDefault<OwnBits>>;

pub(crate) fn cache<V>(capacity: NonZeroUsize) -> Cache<V> {
    LruCache::with_hasher(capacity, BuildHasherDefault::default())
}

/// A verified token.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) caller: Rc<Caller>,
    /// The key that signed it.
    pub(crate) kid: String,
    /// `exp`, in Unix seconds.
    exp: u64,
}

/// The tokens used last.
#[derive(Debug)]
pub(crate) struct Remembered(Cache<Verified>);

impl Remembered {
    pub(crate) fn new() -> Self {
        Self(cache(CAPACITY))
    }

    /// What is known of a token that has not expired at `now`, in Unix seconds.
    pub(crate) fn find(&mut self, fingerprint: Fingerprint, leeway: u64, now: u64) -> Option<&Verified> {
        let expired = self.0.peek(&fingerprint)?.exp.saturating_add(leeway) <= now;
        if expired {
            self.0.pop(&fingerprint);
            return None;
        }
        self.0.get(&fingerprint)
    }

    pub(crate) fn keep(&mut self, fingerprint: Fingerprint, kid: String, claims: Claims) -> Rc<Caller> {
        let exp = claims.exp;
        let caller = Rc::new(Caller::from(claims));
        self.0.put(fingerprint, Verified { caller: Rc::clone(&caller), kid, exp });
        caller
    }

    pub(crate) fn forget(&mut self, fingerprint: Fingerprint) {
        self.0.pop(&fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(sub: &str) -> Claims {
        serde_json::from_str(&format!(
            r#"{{"iss":"i","aud":"a","sub":"{sub}","iat":0,"exp":900,"jti":"j","email":"e@x","roles":[],
                "session_id":"s","token_type":"access","auth_time":0,"amr":[]}}"#
        ))
        .unwrap()
    }

    #[test]
    fn tokens_that_differ_in_one_byte_share_nothing() {
        let mut remembered = Remembered::new();
        let token = "a".repeat(800);
        remembered.keep(Fingerprint::of(&token), "k".into(), claims("alice"));
        for at in 0..token.len() {
            let mut other = token.clone();
            other.replace_range(at..=at, "b");
            assert!(remembered.find(Fingerprint::of(&other), 5, 1).is_none(), "{at}");
        }
        let known = remembered.find(Fingerprint::of(&token), 5, 1).unwrap();
        assert_eq!(known.caller.user_id, "alice");
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let mut remembered = Remembered::new();
        let token = Fingerprint::of("t");
        remembered.keep(token, "k".into(), claims("alice"));
        assert!(remembered.find(token, 5, 904).is_some());
        assert!(remembered.find(token, 5, 905).is_none());
        assert!(remembered.find(token, 5, 0).is_none(), "for good, even if the clock goes back");
    }

    #[test]
    fn however_many_tokens_come_the_memory_is_bounded() {
        let mut remembered = Remembered::new();
        for number in 0..2 * CAPACITY.get() {
            remembered.keep(Fingerprint::of(&number.to_string()), "k".into(), claims("alice"));
        }
        assert_eq!(remembered.0.len(), CAPACITY.get());
    }
}
