//! functions/shared/identity
