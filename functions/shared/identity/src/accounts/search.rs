//! Finding accounts by what is known of them. A whole id or address is looked up. There is no index by anything else: accounts
//! are read newest first, as many as one request may read, and a page may hold fewer than were asked for and not be the last.

use jiff::Timestamp;
use portcullis_store::{Account, AccountId, AccountStatus};

use crate::Identity;
use crate::accounts::administration::Listed;
use crate::accounts::email::Email;
use crate::error::Error;

/// Accounts that are read at once.
const BATCH: usize = 100;
/// Accounts that one request reads, however few of them it finds.
const MOST_READ: usize = 1_000;

/// Which accounts are wanted: those that have everything named here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// A part of the address, the username, the name or the id, in any case. Where it is the whole id or address of an account,
    /// that account alone is meant.
    pub text: Option<String>,
    /// A role of the account.
    pub role: Option<String>,
    /// Enabled or disabled.
    pub status: Option<AccountStatus>,
    /// Signed in last at this time or later.
    pub signed_in_since: Option<Timestamp>,
    /// Not signed in since this time, or never.
    pub not_signed_in_since: Option<Timestamp>,
}

impl AccountFilter {
    fn wants(&self, listed: &Listed) -> bool {
        let (account, last) = (&listed.account, listed.last_login);
        self.text.as_ref().is_none_or(|text| mentions(account, &text.to_lowercase()))
            && self.role.as_ref().is_none_or(|role| account.roles.contains(role))
            && self.status.is_none_or(|status| account.status == status)
            && self.signed_in_since.is_none_or(|since| last.is_some_and(|last| last >= since))
            && self.not_signed_in_since.is_none_or(|since| last.is_none_or(|last| last < since))
    }
}

/// Whether what an account is known by holds this text, which is in lower case.
fn mentions(account: &Account, text: &str) -> bool {
    let id = account.id.to_string();
    [account.address(), account.username.as_deref(), Some(account.name.as_str()), Some(id.as_str())]
        .into_iter()
        .flatten()
        .any(|known| known.to_lowercase().contains(text))
}

impl Identity {
    /// Returns the account whose whole id or address a filter has; `None` where it has neither.
    async fn named_by(&self, filter: &AccountFilter) -> Result<Option<Listed>, Error> {
        let Some(text) = filter.text.as_deref() else { return Ok(None) };
        let found = if let Ok(id) = text.parse() {
            self.store.account(id).await?
        } else if let Ok(email) = Email::parse(text) {
            self.account_with(Some(&email), None).await?
        } else {
            None
        };
        let Some(account) = found else { return Ok(None) };
        let last_login = self.last_login(&account).await?;
        Ok(Some(Listed { account, last_login }))
    }

    /// Returns accounts that the filter wants after the one called `after`, newest first, and the cursor of the next page;
    /// fails when the store does, and with [`Error::Invalid`] for a role that the policy does not have.
    pub async fn find_accounts(
        &self,
        filter: &AccountFilter,
        limit: usize,
        after: Option<AccountId>,
    ) -> Result<(Vec<Listed>, Option<AccountId>), Error> {
        self.check_roles(filter.role.as_slice())?;
        // No more is read than is asked for.
        if *filter == AccountFilter::default() {
            return self.list_accounts(limit, after).await;
        }
        if let Some(named) = self.named_by(filter).await? {
            let is_wanted = filter.wants(&named) && after.is_none_or(|after| named.account.id < after);
            return Ok((if is_wanted { vec![named] } else { Vec::new() }, None));
        }
        let (mut found, mut after) = (Vec::new(), after);
        for _ in 0..MOST_READ / BATCH {
            let (listed, next) = self.list_accounts(BATCH, after).await?;
            for one in listed {
                if !filter.wants(&one) {
                    continue;
                }
                let id = one.account.id;
                found.push(one);
                if found.len() == limit {
                    return Ok((found, Some(id)));
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok((found, after))
    }
}
