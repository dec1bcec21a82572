//! Data keys wrapped under a master key in this process, in place of a key management service.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use portcullis_platform::{DataKey, EncryptionContext, Entropy, KeyWrap, KeyWrapError};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretSlice};

/// The first byte of a wrapped key: AES-256-GCM, then nonce, ciphertext and tag.
const VERSION: u8 = 1;
const DATA_KEY_LENGTH: usize = 32;

/// A master key of 256 bits held in memory. Its nonces are random, which is sound for some four thousand million
/// data keys.
#[derive(Debug)]
pub struct LocalMasterKey {
    key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

/// The error for a master key that does not have 32 bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a master key has 32 bytes")]
pub struct WrongKeyLength;

impl LocalMasterKey {
    /// Returns a key wrap under `master`, which draws data keys and nonces from `entropy`; fails unless `master` has 32
    /// bytes.
    pub fn new(master: &SecretSlice<u8>, entropy: Arc<dyn Entropy>) -> Result<Self, WrongKeyLength> {
        let key = UnboundKey::new(&AES_256_GCM, master.expose_secret()).map_err(|_| WrongKeyLength)?;
        Ok(Self { key: LessSafeKey::new(key), entropy })
    }

    /// Returns the same for a key as its file has it, 32 bytes in base64url.
    pub fn parse(text: &SecretSlice<u8>, entropy: Arc<dyn Entropy>) -> Result<Self, WrongKeyLength> {
        Self::new(&crate::data_dir::parse_master_key(text).map_err(|_| WrongKeyLength)?, entropy)
    }

    fn fill(&self, buffer: &mut [u8]) -> Result<(), KeyWrapError> {
        self.entropy.fill(buffer).map_err(|error| KeyWrapError::Unavailable(error.into()))
    }
}

#[async_trait]
impl KeyWrap for LocalMasterKey {
    async fn generate_data_key(&self, context: &EncryptionContext) -> Result<DataKey, KeyWrapError> {
        let mut plaintext = SecretSlice::from(vec![0; DATA_KEY_LENGTH]);
        self.fill(plaintext.expose_secret_mut())?;
        let mut nonce = [0; NONCE_LEN];
        self.fill(&mut nonce)?;

        // Encrypted where it will stay, so that no copy in the clear is left on the heap.
        let mut sealed = plaintext.expose_secret().to_vec();
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.canonical_bytes()),
                &mut sealed,
            )
            .map_err(|error| KeyWrapError::Unavailable(error.into()))?;
        let wrapped = [&[VERSION], nonce.as_slice(), &sealed, tag.as_ref()].concat();
        Ok(DataKey { plaintext, wrapped })
    }

    async fn unwrap_data_key(
        &self,
        wrapped: &[u8],
        context: &EncryptionContext,
    ) -> Result<SecretSlice<u8>, KeyWrapError> {
        let [VERSION, rest @ ..] = wrapped else { return Err(KeyWrapError::Refused) };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KeyWrapError::Refused)?;
        if sealed.len() != DATA_KEY_LENGTH + AES_256_GCM.tag_len() {
            return Err(KeyWrapError::Refused);
        }
        let mut opened = SecretSlice::from(sealed.to_vec());
        let aad = Aad::from(context.canonical_bytes());
        let plaintext = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, opened.expose_secret_mut())
            .map_err(|_| KeyWrapError::Refused)?;
        Ok(SecretSlice::from(plaintext.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;

    use super::*;

    fn master(byte: u8) -> LocalMasterKey {
        LocalMasterKey::new(&vec![byte; 32].into(), Arc::new(SystemEntropy)).unwrap()
    }

    fn context(user: &str) -> EncryptionContext {
        EncryptionContext::new([("purpose", "totp"), ("user", user)])
    }

    #[tokio::test]
    async fn alices_key_opens_for_alice_and_for_nobody_else() {
        let keeper = master(1);
        let made = keeper.generate_data_key(&context("alice")).await.unwrap();
        let opened = keeper.unwrap_data_key(&made.wrapped, &context("alice")).await.unwrap();
        assert_eq!(opened.expose_secret(), made.plaintext.expose_secret());

        let moved = keeper.unwrap_data_key(&made.wrapped, &context("mallory")).await;
        assert!(matches!(moved, Err(KeyWrapError::Refused)));
        let foreign = master(2).unwrap_data_key(&made.wrapped, &context("alice")).await;
        assert!(matches!(foreign, Err(KeyWrapError::Refused)));
    }

    #[tokio::test]
    async fn no_flipped_bit_and_no_missing_byte_goes_unseen() {
        let keeper = master(1);
        let made = keeper.generate_data_key(&context("alice")).await.unwrap();
        for bit in 0..made.wrapped.len() * 8 {
            let mut flipped = made.wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(keeper.unwrap_data_key(&flipped, &context("alice")).await.is_err(), "bit {bit}");
        }
        for length in 0..made.wrapped.len() {
            let cut = &made.wrapped[..length];
            assert!(keeper.unwrap_data_key(cut, &context("alice")).await.is_err(), "{length} bytes");
        }
        let longer = [made.wrapped.as_slice(), &[0]].concat();
        assert!(keeper.unwrap_data_key(&longer, &context("alice")).await.is_err());
    }

    #[tokio::test]
    async fn two_data_keys_have_nothing_in_common() {
        let keeper = master(1);
        let one = keeper.generate_data_key(&context("alice")).await.unwrap();
        let other = keeper.generate_data_key(&context("alice")).await.unwrap();
        assert_ne!(one.plaintext.expose_secret(), other.plaintext.expose_secret());
        assert_ne!(one.wrapped[1..=NONCE_LEN], other.wrapped[1..=NONCE_LEN]);
    }

    #[test]
    fn a_master_key_of_another_length_is_refused() {
        assert!(LocalMasterKey::new(&vec![1; 16].into(), Arc::new(SystemEntropy)).is_err());
        assert!(!format!("{:?}", master(0x5A)).contains("90"));
    }
}
