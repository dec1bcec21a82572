//! functions/login
