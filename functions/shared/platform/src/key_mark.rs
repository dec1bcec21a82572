//! What tells one key from another without saying anything about either.

use std::fmt::Write;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// What is authenticated under the key: nothing else in the product is.
const PURPOSE: &[u8] = b"portcullis: the mark of a key";
/// Far too many to meet by chance, and no more than a person compares.
const BYTES: usize = 16;

/// Returns the mark of a secret: the same for the same secret, another for any other. Whoever reads it learns nothing of a
/// secret that cannot be guessed.
pub fn key_mark(secret: &[u8]) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, secret), PURPOSE);
    tag.as_ref().iter().take(BYTES).fold(String::new(), |mut mark, byte| {
        // Text always has room.
        let _ = write!(mark, "{byte:02x}");
        mark
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_follows_from_the_secret_alone() {
        let one = key_mark(b"a secret of more than thirty-two bytes");
        assert_eq!(one, key_mark(b"a secret of more than thirty-two bytes"));
        assert_ne!(one, key_mark(b"a secret of more than thirty-two byteS"));
        assert_eq!(one.len(), 2 * BYTES);
    }
}
