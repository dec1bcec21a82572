//! Tokens and the keys behind them: access tokens (JWT, RFC 9068), refresh tokens, the session tokens of a sign-in's next
//! step, the keyring, and signing keys kept under a key of AWS KMS.

pub(crate) mod access_token;
pub(crate) mod challenge_token;
pub(crate) mod key_derivation;
pub(crate) mod keyring;
pub(crate) mod managed_keys;
pub(crate) mod public_keys;
pub(crate) mod refresh_token;
pub(crate) mod sealed_token;
pub(crate) mod session_token;
pub(crate) mod token_provider;
