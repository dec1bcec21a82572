//! The one gate in front of every token: which account may be issued one, and what a lockout means.
//!
//! An account passes if it is switched on, and its address, if it has one, confirmed where that is asked for. Every path asks: sign-in,
//! the code after it, refresh, every request with an access token, the reset and the rotation of a password, and API
//! keys. Erasing an account, disabling it and replacing its password raise its session epoch, which ends what was
//! issued before.
//!
//! The lockout after too many failed attempts throttles the *sign-in by password* and nothing else, and only for
//! devices in the attacker's network that the owner has not signed in with before; where guesses come from many networks, for
//! all such devices. Sessions
//! continue, API keys work, a reset by mail works and makes the browser a known device, and a code is still required and
//! its failures are counted separately: an attacker cannot lock the owner out. Attempts to confirm an operation
//! with the password inside a session are counted apart from both.
//!
//! An expired password leads to its replacement (after the code, where there is a second factor) and nowhere else: no
//! session is refreshed and no API key accepted. Access tokens already issued stay valid until they expire, so that the
//! owner can change the password.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AccountStatus, Session};

use crate::Identity;
use crate::error::Error;

impl Identity {
    /// Returns an error unless the account may be issued a token: [`Error::InvalidCredentials`] for a disabled account,
    /// [`Error::EmailNotVerified`] where the address must be confirmed first.
    pub(crate) fn admit(&self, account: &Account) -> Result<(), Error> {
        match account.status {
            AccountStatus::Disabled => Err(Error::InvalidCredentials),
            AccountStatus::Active
                if self.settings.email_verification && account.has_unconfirmed_address() =>
            {
                Err(Error::EmailNotVerified)
            }
            AccountStatus::Active => Ok(()),
        }
    }

    /// Returns whether a session may be used: its account passes the gate, it has neither ended nor expired, and its
    /// session epoch is not behind the account's.
    pub(crate) fn is_usable(&self, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.admit(account).is_ok() && session.is_live(account, now)
    }

    /// Returns when the password of the account expires; `None` if passwords do not expire, or there is none.
    pub fn password_expires_at(&self, account: &Account) -> Option<Timestamp> {
        let max_age = self.settings.password_max_age.filter(|_| !account.is_passwordless);
        max_age.map(|age: Duration| account.password_changed_at + age)
    }

    /// Returns whether the password of the account has not expired.
    pub(crate) fn has_current_password(&self, account: &Account, now: Timestamp) -> bool {
        self.password_expires_at(account).is_none_or(|end| end > now)
    }
}
