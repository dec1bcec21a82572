//! Tokens that hold what they stand for, sealed, so that nothing is stored for them.
//!
//! `<kind>_<128 random bits, then the content under AES-256-GCM>`, in base64url. The key is of this token alone: the MAC of
//! its random bits under a key of the service. So no nonce is ever used twice, however many tokens there are. The kind is part
//! of what is authenticated: a token of one kind opens as no other.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_platform::Entropy;
use portcullis_store::ChallengeKind;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::tokens::session_token::SessionToken;

const RANDOM_LENGTH: usize = 16;
/// Longer than any token: an address has 254 characters at most, a device's name 100.
pub(super) const MOST_BYTES: usize = 2_048;

/// Returns a token of this kind that holds the content; fails without randomness.
pub(crate) fn seal(
    kind: ChallengeKind,
    content: &impl Serialize,
    keys: &[hmac::Key],
    entropy: &dyn Entropy,
) -> Result<SessionToken, Error> {
    let failed = || Error::Internal("sealing a token failed");
    let mut random = [0; RANDOM_LENGTH];
    entropy.fill(&mut random)?;
    let mut text = Zeroizing::new(serde_json::to_vec(content).map_err(|_| failed())?);
    let key = keys.first().and_then(|key| key_of(key, &random)).ok_or_else(failed)?;
    let tag = key
        .seal_in_place_separate_tag(nonce(), Aad::from(kind.as_str()), text.as_mut_slice())
        .map_err(|_| failed())?;
    let whole = [random.as_slice(), text.as_slice(), tag.as_ref()].concat();
    Ok(SessionToken::of(format!("{}_{}", kind.as_str(), BASE64URL.encode(whole))))
}

/// Returns what a presented token holds; `None` unless the service sealed it as one of this kind, under one of these keys.
pub(crate) fn open<T: DeserializeOwned>(
    kind: ChallengeKind,
    token: &SecretString,
    keys: &[hmac::Key],
) -> Option<T> {
    let encoded = token.expose_secret().strip_prefix(kind.as_str())?.strip_prefix('_')?;
    let whole = (encoded.len() <= MOST_BYTES).then(|| BASE64URL.decode(encoded).ok())??;
    let (random, sealed) = whole.split_at_checked(RANDOM_LENGTH)?;
    keys.iter().find_map(|key| {
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let key = key_of(key, random)?;
        let opened = key.open_in_place(nonce(), Aad::from(kind.as_str()), sealed.as_mut_slice()).ok()?;
        serde_json::from_slice(opened).ok()
    })
}

fn key_of(key: &hmac::Key, random: &[u8]) -> Option<LessSafeKey> {
    let of_token = hmac::sign(key, random);
    UnboundKey::new(&AES_256_GCM, of_token.as_ref()).ok().map(LessSafeKey::new)
}

/// Of a key that seals one message.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;

    #[test]
    fn a_token_of_one_kind_opens_as_no_other_however_its_prefix_is_written() {
        let keys = [hmac::Key::new(hmac::HMAC_SHA256, &[1; 32])];
        let kinds = [
            ChallengeKind::Mfa,
            ChallengeKind::PasskeyCreation,
            ChallengeKind::FirstPasskeyCreation,
            ChallengeKind::PasskeyAssertion,
        ];
        for kind in kinds {
            let token = seal(kind, &7_u8, &keys, &SystemEntropy).unwrap();
            assert_eq!(open(kind, token.secret(), &keys), Some(7_u8));
            for other in kinds.into_iter().filter(|other| *other != kind) {
                let renamed = token.secret().expose_secret().replacen(kind.as_str(), other.as_str(), 1);
                for text in [token.secret().expose_secret(), &renamed] {
                    assert_eq!(open::<u8>(other, &text.into(), &keys), None, "{kind:?} as {other:?}");
                }
            }
        }
    }
}
