//! functions/shared/http
