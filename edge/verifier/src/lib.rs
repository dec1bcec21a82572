//! edge/verifier
