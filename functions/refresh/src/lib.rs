//! functions/refresh
