//! functions/shared/platform-embedded
