//! The public halves of the signing keys: what verifies access tokens and what is published, for functions that sign none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::jwk::Jwk;
use portcullis_platform::{SecretName, Secrets};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::tokens::access_token::{SigningKey, VerificationKeys};
use crate::tokens::keyring::{UnusableSecret, encoded_jwks};

/// The keys that tokens are verified with, and the JWK set that is published.
#[derive(Debug)]
pub(crate) struct PublicKeys {
    pub(crate) verification: VerificationKeys,
    pub(crate) jwks: String,
}

/// A key as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    jwk: Jwk,
    /// The key in the form in which it is parsed, in base64url.
    public: String,
}

/// Returns the public halves of these keys as [`SecretName::TokenVerificationKeys`] holds them; `None` for a key that has no
/// such form.
pub fn written_public_keys(keys: &[SigningKey]) -> Option<SecretString> {
    let written = keys.iter().map(|key| {
        Some(Written { jwk: key.jwk().clone(), public: BASE64URL.encode(key.public_key()?.as_ref()) })
    });
    let written = written.collect::<Option<Vec<_>>>()?;
    Some(serde_json::to_string(&written).ok()?.into())
}

impl PublicKeys {
    pub(crate) fn of(keys: &[SigningKey]) -> Result<Self, UnusableSecret> {
        let jwks = encoded_jwks(keys.iter().map(SigningKey::jwk))?;
        Ok(Self { verification: VerificationKeys::of(keys), jwks })
    }

    /// Returns the keys that a rotation wrote down; fails when there are none, or something else.
    pub(crate) async fn load(secrets: &dyn Secrets) -> Result<Self, UnusableSecret> {
        let name = SecretName::TokenVerificationKeys;
        let text = secrets.fetch(name).await?.current;
        let malformed = || UnusableSecret::Malformed(name, "a list of public keys as a rotation writes it");
        let written: Vec<Written> = serde_json::from_slice(text.expose_secret()).map_err(|_| malformed())?;
        let keys = written.iter().map(|key| Some((&key.jwk, BASE64URL.decode(&key.public).ok()?)));
        let keys = keys.collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
        let verification = VerificationKeys::from_written(keys).ok_or_else(malformed)?;
        Ok(Self { verification, jwks: encoded_jwks(written.iter().map(|key| &key.jwk))? })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_trait::async_trait;
    use portcullis_platform::{
        SecretPurpose, SecretVersions, SecretsError, SigningAlgorithm, SystemEntropy, new_secret,
    };
    use secrecy::SecretSlice;

    use super::*;
    use crate::Keyring;

    #[derive(Debug)]
    struct Given(HashMap<SecretName, SecretString>);

    #[async_trait]
    impl Secrets for Given {
        async fn fetch(&self, name: SecretName) -> Result<SecretVersions, SecretsError> {
            let text = self.0.get(&name).ok_or(SecretsError::Missing(name))?;
            let current = SecretSlice::from(text.expose_secret().as_bytes().to_vec());
            Ok(SecretVersions { current, accepted: Vec::new() })
        }
    }

    #[tokio::test]
    async fn who_has_the_public_halves_alone_verifies_and_publishes_the_same_and_signs_nothing() {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDSA] {
            let pem = new_secret(SecretName::TokenSigningKey, algorithm, &SystemEntropy).unwrap();
            let key = SigningKey::from_pem(pem.expose_secret().as_bytes()).unwrap();
            let written = written_public_keys(std::slice::from_ref(&key)).unwrap();
            let of = |name, text| Given(HashMap::from([(name, text)]));
            let signing = of(SecretName::TokenSigningKey, pem);
            let public = of(SecretName::TokenVerificationKeys, written);
            let signing = Keyring::load(&signing, &[SecretPurpose::Signing]).await.unwrap();
            let public = Keyring::load(&public, &[]).await.unwrap();
            assert_eq!(signing.jwks(), public.jwks());
            assert_eq!(signing.algorithms().collect::<Vec<_>>(), public.algorithms().collect::<Vec<_>>());
            let message = b"what is signed";
            let made = jsonwebtoken::crypto::sign(message, key.encoded(), key.algorithm()).unwrap();
            let signature = BASE64URL.decode(made).unwrap();
            assert!(public.verification.is_signed_by(key.kid(), message, &signature));
            assert!(!public.verification.is_signed_by(key.kid(), b"something else", &signature));
            assert!(signing.signing().is_ok() && public.signing().is_err());
            assert!(public.making_mac().is_err() && public.fingerprint(&[]).is_err());
            assert_eq!(public.audit_macs().count() + public.api_key_macs().count(), 0);
        }
    }

    #[tokio::test]
    async fn something_else_is_refused_without_a_word_of_it() {
        for text in
            ["", "[", "{}", "hunter2", r#"[{"public":"AA"}]"#, r#"[{"jwk":{"kty":"hunter2"},"public":"AA"}]"#]
        {
            let given = Given(HashMap::from([(SecretName::TokenVerificationKeys, text.into())]));
            let error = Keyring::load(&given, &[]).await.unwrap_err().to_string();
            assert!(error.contains("TOKEN_VERIFICATION_KEYS") && !error.contains("hunter2"), "{error}");
        }
    }
}
