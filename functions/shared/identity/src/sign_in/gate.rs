//! The one gate in front of every token: which account may be given one, and what "locked" means.
//!
//! An account passes if it is switched on, and its address confirmed where that is asked for. Every path asks: sign-in,
//! the code after it, refresh, every request with an access token, the reset and the rotation of a password, and API
//! keys. Erasing an account, switching it off and replacing its password raise its epoch, which ends what was begun
//! before.
//!
//! Too many wrong passwords lock the *sign-in by password* and nothing else, and for whoever is not on a device the
//! owner has signed in with before. Sessions go on, keys work, a reset by mail works and makes the browser a known
//! device, and a code is still asked for and counted by itself: a stranger who attempts costs the owner nothing. Who is
//! signed in and attempts at the password to confirm something is counted apart from both.
//!
//! A password that is too old is no password any more: it leads to its rotation (after the code, where there is a second
//! factor) and nowhere else, no session is refreshed and no key accepted. Access tokens that are out run their quarter
//! of an hour, so that its owner may change it.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AccountStatus, Session};

use crate::Identity;
use crate::error::Error;

impl Identity {
    /// Whether the account may be given a token at all.
    pub(crate) fn admit(&self, account: &Account) -> Result<(), Error> {
        match account.status {
            AccountStatus::Disabled => Err(Error::InvalidCredentials),
            AccountStatus::Active if self.settings.email_verification && !account.email_verified => {
                Err(Error::EmailNotVerified)
            }
            AccountStatus::Active => Ok(()),
        }
    }

    /// Whether a session of an account may be used.
    pub(crate) fn is_usable(&self, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.admit(account).is_ok() && session.is_live(account, now)
    }

    /// When the password of an account is too old, if passwords become so.
    pub fn password_expires_at(&self, account: &Account) -> Option<Timestamp> {
        self.settings.password_max_age.map(|age: Duration| account.password_changed_at + age)
    }

    /// Whether the password of an account is not too old.
    pub(crate) fn has_current_password(&self, account: &Account, now: Timestamp) -> bool {
        self.password_expires_at(account).is_none_or(|end| end > now)
    }
}
