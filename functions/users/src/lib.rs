//! functions/users
