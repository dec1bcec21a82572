//! Refresh tokens: opaque to clients, authenticated by a MAC before any lookup, and not recoverable from a dump of the
//! table.
//!
//! `rt_<account>.<session>.<generation>.<milliseconds>.<256 random bits>.<mac>`: the MAC is checked before anything is
//! looked up, so a made-up token reaches no record and can end no session. The account is part of the token because a
//! session's row lies in its owner's partition; the time of its issue, because it tells which call to the table a token
//! needs. The time decides nothing: the condition of the write does.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_platform::Entropy;
use portcullis_store::{AccountId, Digest, SessionId};
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::sha256::sha256;
use crate::tokens::key_derivation::derive;

const PREFIX: &str = "rt_";
const RANDOM_LENGTH: usize = 32;
/// Longer than any refresh token; longer text is refused unread.
const MOST_BYTES: usize = 320;
const SEALING: &str = "seal the successor of a refresh token";

/// A refresh token in clear text, to be sent to its owner.
#[derive(Debug, Clone)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// Returns a new token of this generation of a session; fails without randomness.
    pub(crate) fn generate(
        key: &hmac::Key,
        (account, session): (AccountId, SessionId),
        generation: u64,
        issued_at: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let mut random = [0; RANDOM_LENGTH];
        entropy.fill(&mut random)?;
        let (issued, random) = (issued_at.as_millisecond(), BASE64URL.encode(random));
        let mut text = format!("{PREFIX}{account}.{session}.{generation}.{issued}.{random}");
        let mac = hmac::sign(key, text.as_bytes());
        text.push('.');
        BASE64URL.encode_string(mac, &mut text);
        Ok(Self(SecretString::from(text)))
    }

    /// Returns the clear text.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Returns the digest that is stored in place of the token.
    pub(crate) fn digest(&self) -> Digest {
        sha256(self.0.expose_secret())
    }
}

/// A presented refresh token whose MAC was verified.
#[derive(Clone)]
pub struct PresentedToken {
    text: SecretString,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) generation: u64,
    issued_at: Timestamp,
}

impl fmt::Debug for PresentedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedToken")
            .field("session", &self.session)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl PresentedToken {
    /// Returns the parsed token; fails with [`Error::InvalidRefreshToken`], before any record is read, unless its MAC
    /// is of one of these keys.
    pub(crate) fn parse(text: &SecretString, keys: &[hmac::Key]) -> Result<Self, Error> {
        Self::parse_authentic(text, keys).ok_or(Error::InvalidRefreshToken)
    }

    fn parse_authentic(secret: &SecretString, keys: &[hmac::Key]) -> Option<Self> {
        let text = secret.expose_secret();
        if text.len() > MOST_BYTES {
            return None;
        }
        let (signed, mac) = text.rsplit_once('.')?;
        let mac = BASE64URL.decode(mac).ok()?;
        keys.iter().find(|key| hmac::verify(key, signed.as_bytes(), &mac).is_ok())?;
        let mut parts = signed.strip_prefix(PREFIX)?.split('.');
        let presented = Self {
            text: secret.clone(),
            account: parts.next()?.parse().ok()?,
            session: parts.next()?.parse().ok()?,
            generation: parts.next()?.parse().ok()?,
            issued_at: Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?,
        };
        (parts.next().is_some() && parts.next().is_none()).then_some(presented)
    }

    /// Returns whether the token took its predecessor's place less than `grace` ago. The first token of a session has no
    /// predecessor and is never young.
    pub(crate) fn is_young(&self, grace: Duration, now: Timestamp) -> bool {
        self.generation > 0 && now < self.issued_at + grace
    }

    /// Returns the token itself, for a client to go on with.
    pub(crate) fn unchanged(&self) -> RefreshToken {
        RefreshToken(self.text.clone())
    }

    /// Returns the digest that is stored in place of the token.
    pub(crate) fn digest(&self) -> Digest {
        sha256(self.text.expose_secret())
    }

    /// Returns the successor, encrypted under a key derived from this token: only a client that holds this token can be
    /// given it again. Fails without randomness.
    pub(crate) fn seal(&self, successor: &RefreshToken, entropy: &dyn Entropy) -> Result<Vec<u8>, Error> {
        let failed = || Error::Internal("sealing a refresh token failed");
        // Two racing requests may seal two candidates under the same key: each needs a nonce of its own.
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut sealed = successor.0.expose_secret().as_bytes().to_vec();
        let key = self.sealing_key().ok_or_else(failed)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| failed())?;
        sealed.splice(..0, nonce);
        Ok(sealed)
    }

    /// Returns the successor that was sealed under this token; `None` if it was sealed under another.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<RefreshToken> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut buffer = zeroize::Zeroizing::new(ciphertext.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.sealing_key()?.open_in_place(nonce, Aad::empty(), &mut buffer).ok()?;
        Some(RefreshToken(SecretString::from(std::str::from_utf8(opened).ok()?)))
    }

    fn sealing_key(&self) -> Option<LessSafeKey> {
        let key = derive(self.text.expose_secret().as_bytes(), SEALING)?;
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::Id;

    use super::*;

    const ISSUED: Timestamp = Timestamp::constant(1_795_000_000, 0);

    fn key(secret: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, secret)
    }

    fn token(key: &hmac::Key, generation: u64) -> RefreshToken {
        let account = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        let session = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        RefreshToken::generate(key, (account, session), generation, ISSUED, &SystemEntropy).unwrap()
    }

    #[test]
    fn a_token_is_read_under_the_key_that_made_it_and_no_other() {
        let (ours, theirs) = (key(b"ours"), key(b"theirs"));
        let token = token(&ours, 7);
        let keys = [theirs.clone(), ours];
        assert_eq!(PresentedToken::parse(token.secret(), &keys).unwrap().generation, 7);
        assert!(PresentedToken::parse(token.secret(), &[theirs]).is_err());
        assert!(PresentedToken::parse(token.secret(), &[]).is_err());
    }

    #[test]
    fn a_token_tells_its_age_and_the_first_of_a_session_is_never_young() {
        let ours = [key(b"ours")];
        let grace = Duration::from_secs(30);
        let is_young = |generation, milliseconds, grace| {
            let presented = PresentedToken::parse(token(&ours[0], generation).secret(), &ours).unwrap();
            presented.is_young(grace, ISSUED + Duration::from_millis(milliseconds))
        };
        assert!(is_young(1, 0, grace) && is_young(1, 29_999, grace));
        assert!(!is_young(1, 30_000, grace) && !is_young(1, 0, Duration::ZERO));
        assert!(!is_young(0, 0, grace));
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let ours = [key(b"ours")];
        let token = token(&ours[0], 7);
        let text = token.secret().expose_secret();
        for place in 0..text.len() {
            for replacement in ["A", "0", ".", "_"] {
                let mut forged = text.to_owned();
                forged.replace_range(place..=place, replacement);
                if forged != text {
                    assert!(
                        PresentedToken::parse(&SecretString::from(forged), &ours).is_err(),
                        "byte {place}"
                    );
                }
            }
        }
        for forged in
            ["", "rt_", "rt_a.b.0.0.c.d", &format!("{text}="), &format!(" {text}"), &"a.".repeat(200)]
        {
            assert!(PresentedToken::parse(&SecretString::from(forged), &ours).is_err());
        }
    }

    #[test]
    fn only_the_predecessor_opens_its_successor() {
        let ours = [key(b"ours")];
        let (first, second) = (token(&ours[0], 0), token(&ours[0], 1));
        let presented = PresentedToken::parse(first.secret(), &ours).unwrap();
        let sealed = presented.seal(&second, &SystemEntropy).unwrap();
        assert_eq!(presented.open(&sealed).unwrap().digest(), second.digest());

        let stranger = PresentedToken::parse(token(&ours[0], 0).secret(), &ours).unwrap();
        assert!(stranger.open(&sealed).is_none());
        assert!(
            !sealed.windows(8).any(|part| second
                .secret()
                .expose_secret()
                .as_bytes()
                .windows(8)
                .any(|text| text == part))
        );
        for place in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[place] ^= 1;
            assert!(presented.open(&damaged).is_none());
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = token(&key(b"ours"), 0);
        let presented = PresentedToken::parse(token.secret(), &[key(b"ours")]).unwrap();
        let secret = token.secret().expose_secret().rsplit('.').next().unwrap();
        assert!(!format!("{token:?}{presented:?}").contains(secret));
    }
}
