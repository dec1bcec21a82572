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
    let failed = || Error::Internal("sealing a secret failed");
    let data_key = key_wrap.generate_data_key(context).await?;
    let key = cipher(&data_key.plaintext).ok_or_else(failed)?;
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce)?;
    let aad = Aad::from(context.canonical_bytes());
    // The key serves this one secret, so a nonce cannot repeat under it.
    let mut sealed = secret.expose_secret().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
        .map_err(|_| failed())?;
    sealed.splice(..0, nonce);
    Ok(SealedSecret { wrapped_key: data_key.wrapped, ciphertext: sealed })
}

/// Returns the clear text of a sealed secret; fails if it was sealed for another context or altered, or when the
/// provider of the master key does.
pub async fn open(
    sealed: &SealedSecret,
    context: &EncryptionContext,
    key_wrap: &dyn KeyWrap,
) -> Result<SecretSlice<u8>, Error> {
    let refused = || Error::KeyWrap(KeyWrapError::Refused);
    let data_key = key_wrap.unwrap_data_key(&sealed.wrapped_key, context).await?;
    let key = cipher(&data_key).ok_or_else(refused)?;
    let (nonce, ciphertext) = sealed.ciphertext.split_first_chunk::<NONCE_LEN>().ok_or_else(refused)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let aad = Aad::from(context.canonical_bytes());
    let opened =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut buffer).map_err(|_| refused())?;
    Ok(SecretSlice::from(opened.to_vec()))
}

fn cipher(key: &SecretSlice<u8>) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose_secret()).ok()?))
}
