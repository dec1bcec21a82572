//! The digest that is stored in place of a token.

use aws_lc_rs::digest;
use portcullis_store::Digest;

/// Returns the SHA-256 digest (FIPS 180-4). Enough for tokens of 256 random bits, which cannot be brute-forced;
/// passwords need Argon2.
pub(crate) fn sha256(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}
