//! Accounts: registration, the profile, confirmation of the email address, and administration.

pub(crate) mod administration;
pub(crate) mod email;
pub(crate) mod email_verification;
pub(crate) mod invitation;
mod last_admin;
pub(crate) mod person;
pub(crate) mod profile;
mod refused_administration;
pub(crate) mod register;
pub(crate) mod search;
mod sign_in_names;
