//! Sessions: refresh token rotation, logout, the list of sessions, and the feed of revocations.

pub(crate) mod list;
pub(crate) mod logout;
pub(crate) mod refresh;
pub(crate) mod revocations;
