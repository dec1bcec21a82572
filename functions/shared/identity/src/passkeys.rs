//! Passkeys (WebAuthn Level 3): making them, signing in with them, and what their owner does about them.
//!
//! A ceremony has two requests. The first hands out a random challenge, sealed in a token, and stores nothing: whoever opens
//! the sign-in page begins a ceremony. The second shows what an authenticator signed over that challenge, and the write that
//! follows from it spends the challenge. (An approval is a third kind of ceremony, in `approvals`.) `webauthn-rs` verifies signatures and attestation objects; what it leaves to its
//! caller is in `client_data` (exact origins, frames) and `attested` (what is kept of a new credential), and the one place
//! that depends on the inside of its types is `library`.

mod assertion;
mod attested;
mod ceremony;
mod client_data;
mod enrolment;
mod first_passkey;
mod library;
mod management;
mod relying_party;
mod sign_in;
#[cfg(test)]
mod vectors;

use std::time::Duration;

pub use self::assertion::PresentedPasskey;
pub use self::ceremony::CHALLENGE_LENGTH;
pub(crate) use self::ceremony::{Bound, Ceremony};
pub use self::enrolment::{NewPasskey, PasskeyCreation};
pub(crate) use self::enrolment::{over, unusable};
pub use self::library::ALGORITHMS;
pub use self::management::PasskeyName;
pub(crate) use self::relying_party::RP_ID;
pub use self::relying_party::{RelyingParty, VerifiedAssertion};
pub(crate) use self::sign_in::methods_of;
pub use self::sign_in::{PasskeyLogin, PasskeyRequest};
pub use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

/// How long a ceremony may take: the five minutes that WebAuthn Level 3 recommends (section 15.1), because people look for a
/// key, and some are slow.
pub(crate) const TO_FINISH: Duration = Duration::from_mins(5);

/// Why what an authenticator signed was not accepted. Clients learn nothing of it; the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// What the browser says of the ceremony is not about this one.
    #[error("the client data: {0}")]
    ClientData(&'static str),
    /// It is no credential of this ceremony.
    #[error("the credential: {0}")]
    Credential(&'static str),
    /// The signature or the attestation object does not verify.
    #[error("it does not verify")]
    Unverified,
    /// The signature is right, and the signature counter is not above the last one.
    #[error("the signature counter fell")]
    CounterFell,
}
