//! Operations of administrators, over HTTP or on the command line; the audit trail says which.

use jiff::Timestamp;
use portcullis_store::{
    ADMIN_ROLE, Account, AccountId, AccountStatus, Actor, AuditEvent, AuditKind, Factor, FactorSwap, Id,
    NewAccount, Registration, Revocation, RolesAndStatus, RolesAndStatusChange, Round, SignInStep, SignIns,
    UsernameClaim, until_settled,
};

use crate::access::caller::Caller;
use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, PhoneNumber, Username};
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::passwords::foreign_hash::ImportedHash;
use crate::passwords::password::Password;
use crate::sign_in::confirmation::confirmations;
use crate::{ClientContext, Identity};

/// Roles of one account at most.
const MOST_ROLES: usize = 20;

/// A person with a live session whose account is an administrator's now.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// The administrator an operation is attributed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// An account with the role `admin`.
    Admin(AccountId),
    /// A user of the command line tool, by the name the operating system knows.
    CommandLine(String),
}

impl From<&Admin> for Operator {
    fn from(admin: &Admin) -> Self {
        Self::Admin(admin.0.account.id)
    }
}

impl Operator {
    fn actor(&self) -> Actor {
        match self {
            Self::Admin(id) => Actor::Admin(*id),
            Self::CommandLine(name) => Actor::CommandLine(name.clone()),
        }
    }
}

/// The password of a new account.
#[derive(Debug)]
pub enum FirstPassword {
    /// A password in clear text, hashed here.
    Chosen(Password),
    /// A hash imported from an older system.
    Imported(ImportedHash),
}

/// An account an administrator creates.
#[derive(Debug)]
pub struct AccountRequest {
    /// Address to sign in with.
    pub email: Email,
    /// The person's name.
    pub name: PersonName,
    /// Second name to sign in with.
    pub username: Option<Username>,
    /// Telephone number.
    pub phone: Option<PhoneNumber>,
    /// The password to sign in with.
    pub password: FirstPassword,
    /// Names of roles.
    pub roles: Vec<String>,
    /// Whether the account is enabled.
    pub status: AccountStatus,
}

/// A change to the roles or the status of an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountUpdate {
    /// The new roles, in place of all present ones.
    pub roles: Option<Vec<String>>,
    /// Enabled or disabled.
    pub status: Option<AccountStatus>,
}

/// An account in a list, with its last sign-in.
#[derive(Debug)]
pub struct Listed {
    /// The account.
    pub account: Account,
    /// When its owner last signed in, as long as the audit trail remembers it.
    pub last_login: Option<Timestamp>,
}

impl Identity {
    /// Returns the caller as an administrator; fails with [`Error::Forbidden`] without the role `admin`.
    pub fn as_admin(&self, caller: Caller) -> Result<Admin, Error> {
        if caller.account.roles.iter().any(|role| role == ADMIN_ROLE) {
            Ok(Admin(caller))
        } else {
            Err(Error::Forbidden("This needs the role admin."))
        }
    }

    /// Returns accounts after the one called `after`, newest first, and the cursor of the next page; fails when the
    /// store does.
    pub async fn list_accounts(
        &self,
        limit: usize,
        after: Option<AccountId>,
    ) -> Result<(Vec<Listed>, Option<AccountId>), Error> {
        let page = self.store.accounts(limit, after).await?;
        let last_logins = self.store.last_logins(&page.accounts).await?;
        let listed = page.accounts.into_iter().zip(last_logins);
        Ok((listed.map(|(account, last_login)| Listed { account, last_login }).collect(), page.next))
    }

    /// Returns an account by its id; fails with [`Error::NotFound`].
    pub async fn account_by_id(&self, id: AccountId) -> Result<Account, Error> {
        self.store.account(id).await?.ok_or(Error::NotFound)
    }

    /// Returns the account with this id, address or username; fails with [`Error::NotFound`], or [`Error::Invalid`] if
    /// it can be none of them.
    pub async fn account_by_name(&self, name: &str) -> Result<Account, Error> {
        let found = if let Ok(id) = name.parse::<AccountId>() {
            return self.account_by_id(id).await;
        } else if name.contains('@') {
            let email = Email::parse(name).map_err(|invalid| invalid.of(Field::Email))?;
            self.store.login_record_by_email(email.as_str()).await?
        } else {
            let username = Username::parse(name).map_err(|invalid| invalid.of(Field::Username))?;
            self.store.login_record_by_username(&username.0).await?
        };
        Ok(found.ok_or(Error::NotFound)?.account)
    }

    /// An account with the hash of its password, for a backup.
    pub async fn password_hash_of(&self, account: &Account) -> Result<String, Error> {
        let credentials = self.store.login_record_by_email(&account.email).await?.ok_or(Error::NotFound)?;
        Ok(credentials.password_hash)
    }

    /// What is known of an account's sign-ins.
    pub async fn history(&self, account: &Account) -> Result<SignIns, Error> {
        Ok(self.store.sign_ins(&account.email).await?.since(account.created_at))
    }

    /// Makes an account.
    pub async fn create_account(
        &self,
        operator: &Operator,
        request: AccountRequest,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        self.check_roles(&request.roles)?;
        let password_hash = match request.password {
            FirstPassword::Chosen(password) => {
                let known = [request.name.0.as_str(), request.email.as_str()];
                password.check_strength(&known, self.settings.password_min_score)?;
                self.hasher.of(client).hash(&password, self.entropy.as_ref()).await?
            }
            FirstPassword::Imported(hash) => hash.into_stored(),
        };
        let now = self.clock.now();
        let account = Account {
            id: Id::generate(now, self.entropy.as_ref())?,
            email: request.email.as_str().to_owned(),
            username: request.username.map(|name| name.0),
            name: request.name.0,
            phone: request.phone.map(|phone| phone.0),
            roles: request.roles,
            status: request.status,
            mfa_enabled: false,
            email_verified: false,
            session_epoch: 0,
            password_changed_at: now,
            created_at: now,
        };
        let event = self.event_by(operator, AuditKind::AccountRegistered, account.id, client)?;
        let new = NewAccount { account, password_hash, claim: UsernameClaim::Now };
        match self.store.register(&new, None, None, &event).await? {
            Registration::Created => Ok(new.account),
            Registration::UsernameTaken => Err(Error::UsernameTaken),
            _ => Err(Error::EmailTaken),
        }
    }

    /// Changes roles and status and returns the account. Roles count from the next refresh on; a change of status
    /// raises the session epoch, which ends every session at once. Fails with [`Error::LastAdmin`] if no administrator
    /// would be left, [`Error::NotFound`], or [`Error::Contended`].
    pub async fn update_account(
        &self,
        operator: &Operator,
        id: AccountId,
        update: &AccountUpdate,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        if let Some(roles) = &update.roles {
            self.check_roles(roles)?;
            self.apply_update(operator, id, AuditKind::RolesChanged, client, |account| RolesAndStatus {
                roles: roles.clone(),
                status: account.status,
            })
            .await?;
        }
        if let Some(status) = update.status {
            let kind = match status {
                AccountStatus::Active => AuditKind::AccountEnabled,
                AccountStatus::Disabled => AuditKind::AccountDisabled,
            };
            self.apply_update(operator, id, kind, client, |account| RolesAndStatus {
                roles: account.roles.clone(),
                status,
            })
            .await?;
        }
        self.account_by_id(id).await
    }

    /// Applies a change of roles and status that is computed from the account as it was read. The write is conditional
    /// on what was read: where another administrator changed it first, the change is computed again.
    async fn apply_update(
        &self,
        operator: &Operator,
        id: AccountId,
        kind: AuditKind,
        client: &ClientContext,
        next: impl Fn(&Account) -> RolesAndStatus,
    ) -> Result<(), Error> {
        let event = self.event_by(operator, kind, id, client)?;
        let (next, event) = (&next, &event);
        until_settled(|| async move {
            let seen = self.account_by_id(id).await?;
            let next = next(&seen);
            if next.roles == seen.roles && next.status == seen.status {
                return Ok(Round::Settled(()));
            }
            match self.store.change_roles_and_status(&seen, &next, event).await? {
                RolesAndStatusChange::Changed => Ok(Round::Settled(())),
                RolesAndStatusChange::Outdated => Ok(Round::Raced),
                RolesAndStatusChange::LastAdmin => Err(Error::LastAdmin),
            }
        })
        .await
    }

    /// Ends every session of an account by raising its session epoch. Fails with [`Error::NotFound`].
    pub async fn revoke_sessions_of(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = self.account_by_id(id).await?;
        let event = self.event_by(operator, AuditKind::SessionsRevoked, id, client)?;
        match self.store.revoke_sessions(&account, None, &event).await? {
            Revocation::Revoked => Ok(()),
            Revocation::AlreadyEnded => Err(Error::NotFound),
        }
    }

    /// Removes the second factor of an account whose owner lost it: the password alone signs in until a new one is
    /// enrolled. Fails with [`Error::NotFound`].
    pub async fn reset_mfa(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = self.account_by_id(id).await?;
        let event = self.event_by(operator, AuditKind::MfaReset, id, client)?;
        let (account, event) = (&account, &event);
        let decide = |factor: Factor| async move {
            let next = Factor { version: factor.version, ..Factor::default() };
            Ok(self.store.switch_factor(account, &next, event).await?.round())
        };
        match self.store.change_factor::<_, Error, _>(id, decide).await? {
            FactorSwap::AccountGone => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    /// Ends the lockout of an account: the counts of failed passwords and codes start again. Fails with
    /// [`Error::NotFound`].
    pub async fn unlock_account(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let account = self.account_by_id(id).await?;
        let event = self.event_by(operator, AuditKind::AccountUnlocked, id, client)?;
        // An attempt may be counted while this runs: only a row without failures settles it.
        let decide = |factor: Factor| async move {
            if factor.failures == 0 && factor.blocked_until.is_none() {
                return Ok(Round::Settled(()));
            }
            let next = Factor { failures: 0, blocked_until: None, ..factor };
            let swapped = self.event_by(operator, AuditKind::AccountUnlocked, id, client)?;
            self.store.swap_factor(id, &next, &swapped).await?;
            Ok(Round::Raced)
        };
        self.store.change_factor::<_, Error, _>(id, decide).await?;
        let event = event.of_sign_in_with(&account.email, SignInStep::Unlocked);
        Ok(self.store.unlock_account(&confirmations(&account.email), &event).await?)
    }

    /// Replaces the password of an account and ends every session of it. Fails with [`Error::WeakPassword`] or
    /// [`Error::NotFound`].
    pub async fn override_password(
        &self,
        operator: &Operator,
        account: &Account,
        password: &Password,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let known = [account.name.as_str(), account.email.as_str()];
        password.check_strength(&known, self.settings.password_min_score)?;
        let hash = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
        let event = self.event_by(operator, AuditKind::PasswordOverridden, account.id, client)?;
        let found = self.store.override_password(account, &hash, &event).await?;
        if found { Ok(()) } else { Err(Error::NotFound) }
    }

    fn check_roles(&self, roles: &[String]) -> Result<(), Error> {
        let invalid = |detail: String| Err(Error::Invalid(InvalidField::new(Field::Roles, detail)));
        if roles.len() > MOST_ROLES {
            return invalid(format!("at most {MOST_ROLES} roles"));
        }
        if let Some(unknown) = roles.iter().find(|role| !self.settings.policy.knows(role)) {
            return invalid(format!("`{}` is no role of the policy", unknown.escape_debug()));
        }
        let is_twice =
            |(place, role): (usize, &String)| roles.iter().skip(place + 1).any(|other| other == role);
        if roles.iter().enumerate().any(is_twice) {
            return invalid("a role is named twice".to_owned());
        }
        Ok(())
    }

    pub(crate) fn event_by(
        &self,
        operator: &Operator,
        kind: AuditKind,
        subject: AccountId,
        client: &ClientContext,
    ) -> Result<AuditEvent, Error> {
        let mut event = self.audit_event(kind, subject, client)?;
        event.actor = operator.actor();
        Ok(event)
    }
}
