//! The last administrator stays: who counts as one, and what keeps one.
//!
//! Only who can really sign in counts: an enabled account with the role, with a password, and with a confirmed address
//! where addresses must be confirmed. An expired password counts, because its owner signs in by replacing it. An account
//! that meets this meets it for as long as it stays in the store's row of administrators: so one is looked for among
//! them, and the write that removes another is conditional on this one being there still.

use portcullis_store::AccountId;

use crate::Identity;
use crate::error::Error;

impl Identity {
    /// Returns an administrator other than this one who can sign in; fails with [`Error::LastAdmin`] where there is none.
    pub(crate) async fn another_admin(&self, than: AccountId) -> Result<AccountId, Error> {
        for id in self.store.admins().await? {
            if id != than && self.can_administer(id).await? {
                return Ok(id);
            }
        }
        Err(Error::LastAdmin)
    }

    async fn can_administer(&self, id: AccountId) -> Result<bool, Error> {
        let Some(account) = self.store.account(id).await? else { return Ok(false) };
        if !account.is_active_admin() || self.admit(&account).is_err() {
            return Ok(false);
        }
        let record = self.store.login_record_by_email(&account.email).await?;
        Ok(record.is_some_and(|record| record.password_hash.is_some() || account.is_passwordless))
    }
}
