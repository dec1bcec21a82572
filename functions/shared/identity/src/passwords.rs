//! Passwords: hashing and verification, imported hashes, the rules for new passwords, password expiry and recovery.

pub(crate) mod argon2_backend;
pub(crate) mod common_passwords;
pub(crate) mod expiry;
pub(crate) mod fair_queue;
pub(crate) mod foreign_hash;
pub(crate) mod hashing;
pub(crate) mod mail_limits;
pub(crate) mod password;
pub(crate) mod passwordless;
pub(crate) mod recovery;
