//! Sign-in: the login itself, the gate in front of every token, how surely a person proved who they are, throttling of failed attempts, who they are counted for, known devices, and the
//! confirmation of a signed-in user's password.

mod assurance;
pub(crate) mod attempts;
pub(crate) mod confirmation;
pub(crate) mod devices;
pub(crate) mod gate;
pub(crate) mod login;
pub(crate) mod sources;
