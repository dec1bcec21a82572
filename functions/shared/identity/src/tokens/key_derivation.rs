//! Key derivation: a key for each purpose from one secret (HKDF-SHA-256, RFC 5869).

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Length of every derived key in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

struct DerivedKey;

impl KeyType for DerivedKey {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

/// Returns the key for one purpose; `None` only if the library refuses a length it documents as fine.
pub(crate) fn derive(secret: &[u8], purpose: &str) -> Option<Zeroizing<[u8; KEY_LENGTH]>> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    let pseudorandom = Salt::new(HKDF_SHA256, b"portcullis").extract(secret);
    pseudorandom.expand(&[purpose.as_bytes()], DerivedKey).ok()?.fill(key.as_mut()).ok()?;
    Some(key)
}
