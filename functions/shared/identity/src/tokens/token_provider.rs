//! The `CryptoProvider` of the `jsonwebtoken` crate, with private keys that are parsed once.
//!
//! The crate's own provider for `aws-lc-rs` parses the key at every signature, which takes longer than the signature
//! itself. This one is the same but for that: it finds the parsed key by the digest of the encoded one, because what
//! the crate calls to sign is a plain function that is passed nothing else.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, aws_lc};
use jsonwebtoken::{Algorithm, EncodingKey};
use signature::Signer;

/// A parsed private key.
pub(crate) enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.algorithm()).finish()
    }
}

impl PrivateKey {
    /// Returns the key in a PKCS#8 document; `None` if it is of no kind that signs tokens.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let rsa = || RsaKeyPair::from_pkcs8(der).map(Self::Rsa);
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::P256);
        let ed25519 = || Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519);
        rsa().or_else(|_| p256()).or_else(|_| ed25519()).ok()
    }

    /// Returns the one algorithm the key is for (RFC 8725, section 3.1).
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::RS256,
            Self::P256(_) => Algorithm::ES256,
            Self::Ed25519(_) => Algorithm::EdDSA,
        }
    }

    /// Returns the modulus of an RSA key, big-endian; `None` for another key.
    pub(crate) fn modulus(&self) -> Option<Vec<u8>> {
        let Self::Rsa(key) = self else { return None };
        Some(key.public_key().modulus().big_endian_without_leading_zero().to_vec())
    }

    /// Returns the public half, parsed.
    pub(crate) fn public_key(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::Rsa(key) => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key()),
            Self::P256(key) => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key()),
            Self::Ed25519(key) => ParsedPublicKey::new(&ED25519, key.public_key()),
        }
        .ok()
    }

    /// Returns a signature in the form of RFC 7518, section 3. The library checks an RSA signature against the public
    /// key before it lets it go, so a fault while signing cannot give the key away.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(key) => key.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// Returns a public key in the form that [`PrivateKey::public_key`] has; `None` if it is none of this algorithm.
pub(crate) fn parse_public_key(
    algorithm: portcullis_verifier::Algorithm,
    bytes: &[u8],
) -> Option<ParsedPublicKey> {
    match algorithm {
        portcullis_verifier::Algorithm::Rs256 => ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes),
        portcullis_verifier::Algorithm::Es256 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
        portcullis_verifier::Algorithm::EdDSA => ParsedPublicKey::new(&ED25519, bytes),
    }
    .ok()
}

/// Parsed keys by the digest of their encoded form. They belong to the keyring that parsed them; an entry whose key is
/// gone is removed when the next key comes, so that there are never many more than keys in use.
static PARSED: LazyLock<RwLock<HashMap<[u8; 32], Weak<PrivateKey>>>> = LazyLock::new(RwLock::default);

static PROVIDER: LazyLock<CryptoProvider> =
    LazyLock::new(|| CryptoProvider { signer_factory: signer, ..aws_lc::DEFAULT_PROVIDER.clone() });

/// Installs this provider for the process, unless it is installed already.
pub(crate) fn install() {
    let ours = LazyLock::force(&PROVIDER);
    if ours.install_default().is_err()
        && !CryptoProvider::try_get_default().is_some_and(|installed| std::ptr::eq(installed, ours))
    {
        tracing::warn!("another provider signs access tokens and may parse the key each time");
    }
}

/// Returns a shared parsed key, found by its encoded form for as long as the returned one lives.
pub(crate) fn keep_parsed(encoded: &EncodingKey, key: PrivateKey) -> Arc<PrivateKey> {
    let name = name(encoded);
    let mut parsed = PARSED.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = parsed.get(&name).and_then(Weak::upgrade) {
        return same;
    }
    parsed.retain(|_, key| key.strong_count() > 0);
    let key = Arc::new(key);
    parsed.insert(name, Arc::downgrade(&key));
    key
}

fn name(encoded: &EncodingKey) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(digest(&SHA256, encoded.as_bytes()).as_ref());
    name
}

fn find_parsed(encoded: &EncodingKey) -> Option<Arc<PrivateKey>> {
    PARSED.read().unwrap_or_else(PoisonError::into_inner).get(&name(encoded)).and_then(Weak::upgrade)
}

/// Returns the signer of a key kept here; for any other key or algorithm, that of the crate's `aws_lc` provider.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the provider has a pointer to a function of this form"
)]
fn signer(algorithm: &Algorithm, encoded: &EncodingKey) -> jsonwebtoken::errors::Result<Box<dyn JwtSigner>> {
    match find_parsed(encoded).filter(|key| key.algorithm() == *algorithm) {
        Some(key) => Ok(Box::new(ParsedSigner(key))),
        None => (aws_lc::DEFAULT_PROVIDER.signer_factory)(algorithm, encoded),
    }
}

struct ParsedSigner(Arc<PrivateKey>);

impl Signer<Vec<u8>> for ParsedSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        self.0.sign(message).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for ParsedSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }
}

#[cfg(test)]
pub(crate) fn is_kept(encoded: &EncodingKey) -> bool {
    find_parsed(encoded).is_some()
}
