//! Tokens of challenges that are stored (an expired password, the link of a mail): opaque, random, valid for one
//! kind of challenge, and not recoverable from a dump of the table.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_platform::Entropy;
use portcullis_store::{ChallengeKind, Digest};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::sha256::sha256;

const RANDOM_LENGTH: usize = 32;

/// The clear text of a token: `<kind>_<256 random bits>`, or a challenge that is sealed in it (`challenge_token`).
#[derive(Debug, Clone)]
pub struct SessionToken(SecretString);

impl SessionToken {
    pub(crate) fn generate(kind: ChallengeKind, entropy: &dyn Entropy) -> Result<Self, Error> {
        let mut random = Zeroizing::new([0; RANDOM_LENGTH]);
        entropy.fill(random.as_mut())?;
        Ok(Self(format!("{}_{}", kind.as_str(), BASE64URL.encode(random.as_slice())).into()))
    }

    /// The token of this clear text.
    pub(super) fn of(text: String) -> Self {
        Self(text.into())
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

/// Returns the digest under which a challenge of this kind is stored; `None` if the text is no token of the kind.
pub(crate) fn presented(kind: ChallengeKind, token: &SecretString) -> Option<Digest> {
    let text = token.expose_secret();
    // 32 bytes are 43 characters; nothing longer is even decoded.
    let random = text.strip_prefix(kind.as_str())?.strip_prefix('_').filter(|random| random.len() == 43)?;
    let decoded = BASE64URL.decode(random).map(Zeroizing::new).ok()?;
    (decoded.len() == RANDOM_LENGTH).then(|| sha256(text))
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_and_no_other_form_is_looked_up() {
        let token = SessionToken::generate(ChallengeKind::PasswordReset, &SystemEntropy).unwrap();
        assert_eq!(presented(ChallengeKind::PasswordReset, token.secret()), Some(token.digest()));
        let text = token.secret().expose_secret();
        for other in
            ["", "rst_", &text[1..], &text[..46], &format!("{text}A"), &text.replace("rst", "rot"), "rst#_"]
        {
            assert_eq!(presented(ChallengeKind::PasswordReset, &other.into()), None, "{other}");
        }
        assert!(!format!("{token:?}").contains(text));
    }
}
