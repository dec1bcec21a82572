//! How surely a person has proved who they are, and whether that is enough: for their roles, and for what makes a moment's
//! access permanent.
//!
//! The assurance of a session follows from its methods by one function, [`Assurance::of_methods`], and its age is that of
//! the last proof. A refresh changes neither. What a role requires is asked wherever the role counts: before a session
//! begins, at each refresh, and where a permission is needed. A session that falls short lives on until it is raised.
//!
//! A request is judged by its *token* and not by the session behind it: whoever stole an older token gains nothing when its
//! owner proves themselves again.

use portcullis_store::Account;
use portcullis_verifier::policy::Policy;
use portcullis_verifier::route::Needed;
use portcullis_verifier::{Assurance, Claims};

use crate::Identity;
use crate::access::caller::Caller;
use crate::error::Error;
use crate::sign_in::login::unix_seconds;

impl Identity {
    /// Returns [`Error::InsufficientAuthentication`] unless this is as much as the roles of the account require.
    pub(crate) fn check_roles_met(&self, account: &Account, proved: Assurance) -> Result<(), Error> {
        check_roles_met(account, &self.settings.policy, proved)
    }

    /// Returns [`Error::InsufficientAuthentication`] unless the token of the caller says that they proved who they are within
    /// `STEP_UP_MAX_AGE`, with a code where the account has a second factor: a stolen password must not be enough.
    pub fn require_fresh_proof(&self, caller: &Caller) -> Result<(), Error> {
        let seconds = self.settings.step_up_max_age.as_secs();
        let acr = caller.account.mfa_enabled.then_some(Assurance::Aal2);
        let needed = Needed { acr, max_age: Some(u32::try_from(seconds).unwrap_or(u32::MAX)) };
        let Claims { acr, auth_time, .. } = &caller.claims;
        if needed.is_met(*acr, *auth_time, unix_seconds(self.clock.now())) {
            Ok(())
        } else {
            Err(Error::InsufficientAuthentication(needed))
        }
    }
}

impl Caller {
    /// Returns [`Error::InsufficientAuthentication`] unless the token says as much as the roles of the account require.
    pub(crate) fn check_roles_met(&self, policy: &Policy) -> Result<(), Error> {
        check_roles_met(&self.account, policy, self.claims.acr)
    }
}

fn check_roles_met(account: &Account, policy: &Policy, proved: Assurance) -> Result<(), Error> {
    let required = policy.required(&account.roles);
    if proved >= required {
        return Ok(());
    }
    Err(Error::InsufficientAuthentication(Needed { acr: Some(required), max_age: None }))
}
