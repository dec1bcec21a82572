//! functions/local
