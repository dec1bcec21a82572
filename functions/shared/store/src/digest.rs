//! Digests, in place of secrets: what a token or a key is found and compared by.

/// A SHA-256 digest, or a keyed one (HMAC-SHA-256), of a token; the token itself is never stored.
pub type Digest = [u8; 32];
