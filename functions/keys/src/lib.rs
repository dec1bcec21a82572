//! functions/keys
