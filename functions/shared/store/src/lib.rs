//! functions/shared/store
