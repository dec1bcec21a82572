//! The token between the two requests of a ceremony: its challenge, and whom it is bound to, sealed.
//!
//! Kinds of ceremony are types here, kinds of token to `sealed_token`, and `webauthn.create` or `webauthn.get` to the
//! authenticator: what one of them keeps apart, none of the others has to.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use portcullis_platform::Entropy;
use portcullis_store::{AccountId, ChallengeKind, Digest, SessionId, SpentCeremony};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_with::base64::{Base64, UrlSafe};
use serde_with::formats::Unpadded;
use serde_with::serde_as;

use super::TO_FINISH;
use crate::error::Error;
use crate::tokens::sealed_token;
use crate::tokens::session_token::SessionToken;

/// Bytes of a challenge; WebAuthn wants 16 at least (section 13.4.3).
pub const CHALLENGE_LENGTH: usize = 32;

/// What a ceremony is bound to, beside its challenge.
pub(crate) trait Bound: Serialize + DeserializeOwned {
    /// The kind of its token, and of the row that says that it is spent.
    const KIND: ChallengeKind;
}

/// A passkey is made, for this account, in this session.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Creation {
    pub(super) account: AccountId,
    pub(super) session: SessionId,
    #[serde_as(as = "Base64<UrlSafe, Unpadded>")]
    pub(super) user_handle: Vec<u8>,
}

impl Bound for Creation {
    const KIND: ChallengeKind = ChallengeKind::PasskeyCreation;
}

/// A passkey is made for this account as its first factor, by the sign-in that has this challenge.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FirstCreation {
    pub(super) account: AccountId,
    #[serde_as(as = "Base64<UrlSafe, Unpadded>")]
    pub(super) waiting: Digest,
    #[serde_as(as = "Base64<UrlSafe, Unpadded>")]
    pub(super) user_handle: Vec<u8>,
}

impl Bound for FirstCreation {
    const KIND: ChallengeKind = ChallengeKind::FirstPasskeyCreation;
}

/// A passkey is shown, whosever it is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assertion {}

impl Bound for Assertion {
    const KIND: ChallengeKind = ChallengeKind::PasskeyAssertion;
}

/// A ceremony that was begun.
#[serde_as]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ceremony<B> {
    #[serde_as(as = "Base64<UrlSafe, Unpadded>")]
    pub(crate) challenge: [u8; CHALLENGE_LENGTH],
    pub(crate) bound: B,
    /// In milliseconds since 1970.
    expires_at: i64,
}

impl<B: Bound> Ceremony<B> {
    /// Begins a ceremony; fails without randomness.
    pub(crate) fn begin(bound: B, now: Timestamp, entropy: &dyn Entropy) -> Result<Self, Error> {
        let mut challenge = [0; CHALLENGE_LENGTH];
        entropy.fill(&mut challenge)?;
        Ok(Self { challenge, bound, expires_at: (now + TO_FINISH).as_millisecond() })
    }

    /// Returns its token; fails without randomness.
    pub(crate) fn seal(&self, keys: &[hmac::Key], entropy: &dyn Entropy) -> Result<SessionToken, Error> {
        sealed_token::seal(B::KIND, self, keys, entropy)
    }

    /// Returns the ceremony of a presented token; fails with [`Error::InvalidSessionToken`] unless the service began it, as one
    /// of this kind, and its time is not over. Whether it was finished is for the store to say.
    pub(crate) fn open(token: &SecretString, keys: &[hmac::Key], now: Timestamp) -> Result<Self, Error> {
        let opened: Option<Self> = sealed_token::open(B::KIND, token, keys);
        opened.filter(|opened| opened.expires_at > now.as_millisecond()).ok_or(Error::InvalidSessionToken)
    }

    /// Returns what is left of it once it is finished. Its challenge names it: however its token is spelt, it is spent once.
    pub(crate) fn spent(&self) -> Result<SpentCeremony, Error> {
        let expires_at = Timestamp::from_millisecond(self.expires_at);
        let expires_at = expires_at.map_err(|_| Error::Internal("a ceremony ends at no time"))?;
        Ok(SpentCeremony { kind: B::KIND, digest: self.challenge, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::Id;
    use secrecy::ExposeSecret;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_ceremony_is_opened_by_its_token_as_its_own_kind_until_its_time_is_over() {
        let keys = [hmac::Key::new(hmac::HMAC_SHA256, &[1; 32])];
        let begun = Ceremony::begin(Assertion {}, at(0), &SystemEntropy).unwrap();
        let token = begun.seal(&keys, &SystemEntropy).unwrap();
        let opened = |seconds| Ceremony::<Assertion>::open(token.secret(), &keys, at(seconds));
        assert_eq!(opened(299).unwrap().challenge, begun.challenge);
        assert!(matches!(opened(300), Err(Error::InvalidSessionToken)));
        assert!(Ceremony::<Creation>::open(token.secret(), &keys, at(0)).is_err());
        assert_eq!(begun.spent().unwrap().expires_at, at(300));
        let again = Ceremony::begin(Assertion {}, at(0), &SystemEntropy).unwrap();
        assert_ne!(again.challenge, begun.challenge);
    }

    #[test]
    fn the_longest_token_is_shorter_than_a_request_and_opens() {
        let keys = [hmac::Key::new(hmac::HMAC_SHA256, &[1; 32])];
        let account = Id::generate(at(0), &SystemEntropy).unwrap();
        let session = Id::generate(at(0), &SystemEntropy).unwrap();
        let bound = Creation { account, session, user_handle: vec![255; 64] };
        let begun = Ceremony::begin(bound, at(0), &SystemEntropy).unwrap();
        let token = begun.seal(&keys, &SystemEntropy).unwrap();
        assert!(token.secret().expose_secret().len() < 600);
        let opened = Ceremony::<Creation>::open(token.secret(), &keys, at(0)).unwrap();
        assert_eq!((opened.bound.session, opened.bound.user_handle), (session, vec![255; 64]));
    }
}
