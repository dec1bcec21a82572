//! The token between the two halves of a sign-in: the challenge itself, sealed (`sealed_token`), so that nothing is stored
//! for it. That a challenge is finished once is not its own doing: the row of the factor that is spent with it says so.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use portcullis_platform::{Entropy, EntropyUnavailable};
use portcullis_store::{AccountId, Challenge, ChallengeKind};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::sha256::sha256;
use crate::tokens::sealed_token;
use crate::tokens::session_token::SessionToken;

/// What the token holds.
#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    account: AccountId,
    email: String,
    epoch: u64,
    methods: Vec<String>,
    persistent: bool,
    token_in_body: bool,
    device_name: Option<String>,
    /// In milliseconds since 1970.
    expires_at: i64,
}

/// Returns the token of a challenge; fails without randomness.
pub(crate) fn seal(
    challenge: &Challenge,
    keys: &[hmac::Key],
    entropy: &dyn Entropy,
) -> Result<SessionToken, Error> {
    let sealed = Sealed {
        account: challenge.account,
        email: challenge.email.clone(),
        epoch: challenge.session_epoch,
        methods: challenge.methods.clone(),
        persistent: challenge.persistent,
        token_in_body: challenge.token_in_body,
        device_name: challenge.device_name.clone(),
        expires_at: challenge.expires_at.as_millisecond(),
    };
    sealed_token::seal(challenge.kind, &sealed, keys, entropy)
}

/// Returns the challenge of this kind in a presented token; `None` unless the service sealed it under one of these keys and
/// its time is not over.
pub(crate) fn open(
    kind: ChallengeKind,
    token: &SecretString,
    keys: &[hmac::Key],
    now: Timestamp,
) -> Option<Challenge> {
    let opened: Sealed = sealed_token::open(kind, token, keys)?;
    let expires_at = Timestamp::from_millisecond(opened.expires_at).ok()?;
    let (digest, of) = (sha256(token.expose_secret()), (opened.account, opened.epoch));
    let challenge = Challenge {
        methods: opened.methods,
        persistent: opened.persistent,
        token_in_body: opened.token_in_body,
        device_name: opened.device_name,
        ..Challenge::of_address(kind, digest, of, &opened.email, expires_at)
    };
    (challenge.expires_at > now).then_some(challenge)
}

/// Bytes that follow from a challenge: of all attempts to finish it the session and its token are the same ones. Nobody can
/// tell them who does not have the key.
#[derive(Debug)]
pub(crate) struct OfChallenge<'a> {
    key: &'a hmac::Key,
    challenge: &'a Challenge,
    drawn: AtomicU64,
}

impl<'a> OfChallenge<'a> {
    pub(crate) fn new(challenge: &'a Challenge, keys: &'a [hmac::Key]) -> Result<Self, Error> {
        let key = keys.first().ok_or(Error::Internal("there is no key for challenges"))?;
        Ok(Self { key, challenge, drawn: AtomicU64::new(0) })
    }
}

impl Entropy for OfChallenge<'_> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyUnavailable> {
        for part in buffer.chunks_mut(32) {
            let mut context = hmac::Context::with_key(self.key);
            context.update(b"what follows from a challenge");
            context.update(&self.challenge.digest);
            context.update(&self.drawn.fetch_add(1, Ordering::SeqCst).to_be_bytes());
            let bytes = context.sign();
            part.iter_mut().zip(bytes.as_ref()).for_each(|(byte, drawn)| *byte = *drawn);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    use portcullis_platform::SystemEntropy;
    use portcullis_store::Id;

    use super::*;

    fn keys(letters: &[u8]) -> Vec<hmac::Key> {
        letters.iter().map(|letter| hmac::Key::new(hmac::HMAC_SHA256, &[*letter; 32])).collect()
    }

    fn challenge() -> Challenge {
        let id = Id::generate(Timestamp::UNIX_EPOCH, &SystemEntropy).unwrap();
        let ends = Timestamp::from_second(300).unwrap();
        Challenge {
            methods: vec!["pwd".to_owned()],
            persistent: true,
            device_name: Some("n".repeat(100)),
            ..Challenge::of_address(ChallengeKind::Mfa, [0; 32], (id, 7), "asha@example.com", ends)
        }
    }

    #[test]
    fn a_token_opens_under_the_keys_of_the_service_until_its_time_is_over() {
        let token = seal(&challenge(), &keys(&[1]), &SystemEntropy).unwrap();
        let opened = |letters: &[u8], seconds| {
            open(ChallengeKind::Mfa, token.secret(), &keys(letters), Timestamp::from_second(seconds).unwrap())
        };
        let challenge = Challenge { digest: token.digest(), ..challenge() };
        let found = opened(&[1], 299).unwrap();
        assert_eq!(found.email, challenge.email);
        assert_eq!((found.digest, found.session_epoch), (challenge.digest, 7));
        assert_eq!((found.persistent, found.token_in_body), (true, false));
        assert_eq!((&found.methods, &found.device_name), (&challenge.methods, &challenge.device_name));
        assert!(opened(&[2, 1], 299).is_some(), "a key that was rotated out is accepted");
        assert!(opened(&[2], 299).is_none() && opened(&[], 299).is_none());
        assert!(opened(&[1], 300).is_none(), "its time is over");
        assert!(token.secret().expose_secret().len() < sealed_token::MOST_BYTES);
    }

    #[test]
    fn what_follows_from_a_challenge_is_the_same_each_time_and_of_no_other_challenge_or_key() {
        let drawn = |letter: u8, digest: u8| {
            let (keys, challenge) = (keys(&[letter]), Challenge { digest: [digest; 32], ..challenge() });
            let of_challenge = OfChallenge::new(&challenge, &keys).unwrap();
            let mut bytes = [[0; 40]; 2];
            for part in &mut bytes {
                of_challenge.fill(part).unwrap();
            }
            assert_ne!(bytes[0], bytes[1]);
            bytes
        };
        assert_eq!(drawn(1, 1), drawn(1, 1));
        assert_ne!(drawn(1, 1), drawn(1, 2));
        assert_ne!(drawn(1, 1), drawn(2, 1));
    }

    #[test]
    fn a_changed_token_opens_nothing_and_two_of_one_challenge_differ() {
        let sealed = || seal(&challenge(), &keys(&[1]), &SystemEntropy).unwrap();
        let token = sealed();
        assert_ne!(token.digest(), sealed().digest());
        let text = token.secret().expose_secret();
        // What waits for a code is not what waits for an enrolment, whatever is written in front of it.
        let renamed = text.replace("mfa_", "enr_").into();
        for (kind, token) in [
            (ChallengeKind::Enrolment, token.secret()),
            (ChallengeKind::Enrolment, &renamed),
            (ChallengeKind::Mfa, &renamed),
        ] {
            assert!(open(kind, token, &keys(&[1]), Timestamp::UNIX_EPOCH).is_none());
        }
        assert!(!text.contains("asha") && !format!("{token:?}").contains(text));
        let whole = BASE64URL.decode(text.strip_prefix("mfa_").unwrap()).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            let changed = format!("mfa_{}", BASE64URL.encode(changed)).into();
            assert!(
                open(ChallengeKind::Mfa, &changed, &keys(&[1]), Timestamp::UNIX_EPOCH).is_none(),
                "byte {place}"
            );
        }
        for other in ["", "mfa_", "mfa_AAAA", &text[1..], &format!("{text}="), &text.replace("mfa", "rst")] {
            assert!(
                open(ChallengeKind::Mfa, &other.into(), &keys(&[1]), Timestamp::UNIX_EPOCH).is_none(),
                "{other}"
            );
        }
    }
}
