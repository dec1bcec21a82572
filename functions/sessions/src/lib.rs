//! functions/sessions
