//! The digest by which a token is known to whoever must not know the token.

use aws_lc_rs::digest;
use portcullis_store::Digest;

/// SHA-256 (FIPS 180-4). Enough for texts of 256 random bits, which nobody can guess at; a password wants more.
pub(crate) fn sha256(text: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}
