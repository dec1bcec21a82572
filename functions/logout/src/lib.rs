//! functions/logout
