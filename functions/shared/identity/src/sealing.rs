//! Envelope encryption of small secrets: a data key for each, wrapped by the provider of the master key, and everything
//! bound to an encryption context.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use portcullis_platform::{EncryptionContext, Entropy, KeyWrap, KeyWrapError};
use portcullis_store::SealedSecret;
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

use crate::error::Error;

/// Returns the secret, encrypted for this context; fails when the provider of the master key does, or without
/// randomness.
pub async fn seal(
    secret: &SecretSlice<u8>,
    context: &EncryptionContext,
    key_wrap: &dyn KeyWrap,
    entropy: &dyn Entropy,
) -> Result<SealedSecret, Error> {
    let data_key = key_wrap.generate_data_key(context).await?;
    let ciphertext = seal_under(data_key.plaintext.expose_secret(), secret, context, entropy)?;
    Ok(SealedSecret { wrapped_key: data_key.wrapped, ciphertext })
}

/// Returns the secret, encrypted for this context under a key of 32 bytes that serves this one secret and no other; fails
/// without randomness.
pub fn seal_under(
    key: &[u8],
    secret: &SecretSlice<u8>,
    context: &EncryptionContext,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let failed = || Error::Internal("sealing a secret failed");
    let key = cipher(key).ok_or_else(failed)?;
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce)?;
    let aad = Aad::from(context.canonical_bytes());
    // The key serves this one secret, so a nonce cannot repeat under it.
    let mut sealed = secret.expose_secret().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| failed())?;
    sealed.splice(..0, nonce);
    Ok(sealed)
}

/// Returns the clear text of a sealed secret; fails if it was sealed for another context or altered, or when the
/// provider of the master key does.
pub async fn open(
    sealed: &SealedSecret,
    context: &EncryptionContext,
    key_wrap: &dyn KeyWrap,
) -> Result<SecretSlice<u8>, Error> {
    let data_key = key_wrap.unwrap_data_key(&sealed.wrapped_key, context).await?;
    open_under(data_key.expose_secret(), &sealed.ciphertext, context)
        .ok_or(Error::KeyWrap(KeyWrapError::Refused))
}

/// Returns the clear text of what [`seal_under`] sealed; `None` if it was sealed under another key or for another context, or
/// altered.
pub fn open_under(key: &[u8], sealed: &[u8], context: &EncryptionContext) -> Option<SecretSlice<u8>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let aad = Aad::from(context.canonical_bytes());
    let opened = cipher(key)?.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer).ok()?;
    Some(SecretSlice::from(opened.to_vec()))
}

fn cipher(key: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?))
}
