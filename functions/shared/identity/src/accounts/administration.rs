//! Operations of administrators, over HTTP or on the command line; the audit trail says which.

use jiff::Timestamp;
use portcullis_store::{
    Account, AccountId, AccountStatus, Actor, AuditDetails, AuditEvent, AuditKind, Factor, FactorSwap,
    Finished, Id, NewAccount, Registration, Revocation, RolesAndStatus, RolesAndStatusChange, Round,
    SignInStep, SignIns, UsernameClaim, until_settled,
};

use crate::access::api_keys::IssuedApiKey;
use crate::access::caller::Caller;
use crate::access::given_key::is_taken;
use crate::accounts::email::Email;
use crate::accounts::person::{PersonName, PhoneNumber, Username};
use crate::error::Error;
use crate::invalid::{Field, InvalidField};
use crate::notifications::Notification;
use crate::passwords::foreign_hash::ImportedHash;
use crate::passwords::password::Password;
use crate::sign_in::confirmation::confirmations;
use crate::tokens::managed_keys::ManagedKey;
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
    /// Returns who it is, as the trail names them.
    pub fn actor(&self) -> Actor {
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
    /// None yet: the owner chooses it with the link of an invitation.
    ToBeChosen,
}

/// An account an administrator creates.
#[derive(Debug)]
pub struct AccountRequest {
    /// Address to sign in with; an account without one has a username.
    pub email: Option<Email>,
    /// The person's name.
    pub name: PersonName,
    /// Second name to sign in with.
    pub username: Option<Username>,
    /// Telephone number in E.164; `None` where the person gave none.
    pub phone: Option<PhoneNumber>,
    /// The password to sign in with.
    pub password: FirstPassword,
    /// Names of roles.
    pub roles: Vec<String>,
    /// Whether the account is enabled.
    pub status: AccountStatus,
    /// Whether the administrator vouches for the address, so that it need not be confirmed by mail.
    pub email_verified: bool,
}

impl AccountRequest {
    /// Returns what the login record will lie under; fails with neither an address nor a username.
    fn login_name(&self) -> Result<String, Error> {
        match (&self.email, &self.username) {
            (Some(email), _) => Ok(email.as_str().to_owned()),
            (None, Some(username)) => Ok(Account::name_without_address(&username.0)),
            (None, None) => {
                Err(Error::Invalid(InvalidField::new(Field::Email, "an address or a username is needed")))
            }
        }
    }
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
    /// The account as it was read.
    pub account: Account,
    /// When its owner last signed in, as long as the audit trail remembers it.
    pub last_login: Option<Timestamp>,
}

impl Identity {
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
            self.account_with(Some(&email), None).await?
        } else {
            let username = Username::parse(name).map_err(|invalid| invalid.of(Field::Username))?;
            self.account_with(None, Some(&username)).await?
        };
        found.ok_or(Error::NotFound)
    }

    /// Returns the account with this address, or without one the account with this username; `None` if there is none.
    pub async fn account_with(
        &self,
        email: Option<&Email>,
        username: Option<&Username>,
    ) -> Result<Option<Account>, Error> {
        let found = match (email, username) {
            (Some(email), _) => self.store.login_record_by_email(email.as_str()).await?,
            (None, Some(username)) => self.store.login_record_by_username(&username.0).await?,
            (None, None) => None,
        };
        Ok(found.map(|record| record.account))
    }

    /// Returns the hash of an account's password, for a backup; `None` while it has none. Fails with
    /// [`Error::NotFound`].
    pub async fn password_hash_of(&self, account: &Account) -> Result<Option<String>, Error> {
        let credentials = self.store.login_record_by_email(&account.email).await?.ok_or(Error::NotFound)?;
        Ok(credentials.password_hash)
    }

    /// What is known of an account's sign-ins.
    pub async fn history(&self, account: &Account) -> Result<SignIns, Error> {
        Ok(self.store.sign_ins(&account.email).await?.since(account.created_at))
    }

    /// Returns a new account. Fails with [`Error::EmailTaken`], [`Error::UsernameTaken`], [`Error::WeakPassword`] or
    /// [`Error::Invalid`].
    pub async fn create_account(
        &self,
        operator: &Operator,
        request: AccountRequest,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        Ok(self.create_account_with_key(operator, request, None, client).await?.0)
    }

    /// Returns a new account and the managed API key it was made with, if one was wanted: both are there afterwards, or
    /// neither is. Fails like [`Identity::create_account`], and with [`Error::Invalid`] for a key that cannot be taken.
    pub async fn create_account_with_key(
        &self,
        operator: &Operator,
        request: AccountRequest,
        key: Option<ManagedKey>,
        client: &ClientContext,
    ) -> Result<(Account, Option<IssuedApiKey>), Error> {
        self.check_roles(&request.roles)?;
        let (now, login_name) = (self.clock.now(), request.login_name()?);
        let account = Account {
            id: Id::generate(now, self.entropy.as_ref())?,
            email: login_name,
            username: request.username.map(|name| name.0),
            name: request.name.0,
            phone: request.phone.map(|phone| phone.0),
            roles: request.roles,
            status: request.status,
            mfa_enabled: false,
            mfa_has_codes_only: false,
            is_passwordless: false,
            passkeys: 0,
            email_verified: request.email.is_some() && request.email_verified,
            session_epoch: 0,
            password_changed_at: now,
            created_at: now,
            mfa_enabled_at: None,
            keys_ended_at: None,
        };
        let issued = match key {
            Some(key) => Some(self.new_managed_key(&account, key).await?),
            None => None,
        };
        let password_hash = self.first_hash(&account, request.password, client).await?;
        let event = self.event_by(operator, AuditKind::AccountRegistered, account.id, client)?;
        let api_key = match &issued {
            Some(issued) => Some((issued.key.clone(), self.event_of_key(operator, &issued.key, client)?)),
            None => None,
        };
        let new = NewAccount { account, password_hash, claim: UsernameClaim::Now, api_key };
        match self.store.register(&new, None, None, &event).await? {
            Registration::Created => Ok((new.account, issued)),
            Registration::UsernameTaken => Err(Error::UsernameTaken),
            Registration::ApiKeyTaken => Err(is_taken()),
            // Where there is no address, its username is in the way twice.
            _ if new.account.address().is_none() => Err(Error::UsernameTaken),
            _ => Err(Error::EmailTaken),
        }
    }

    /// Returns what [`Identity::create_account`] would, as things are now, and writes nothing.
    pub async fn check_new_account(&self, request: &AccountRequest) -> Result<(), Error> {
        self.check_roles(&request.roles)?;
        let name = request.login_name()?;
        if self.store.login_record_by_email(&name).await?.is_some() {
            return Err(if request.email.is_some() { Error::EmailTaken } else { Error::UsernameTaken });
        }
        match &request.username {
            Some(username) if self.store.address_of_username(&username.0).await?.is_some() => {
                Err(Error::UsernameTaken)
            }
            _ => Ok(()),
        }
    }

    async fn first_hash(
        &self,
        account: &Account,
        password: FirstPassword,
        client: &ClientContext,
    ) -> Result<Option<String>, Error> {
        Ok(match password {
            FirstPassword::Chosen(password) => {
                self.check_choice(&password, account)?;
                Some(self.hasher.of(client).hash(&password, self.entropy.as_ref()).await?)
            }
            FirstPassword::Imported(hash) => Some(hash.into_stored()),
            FirstPassword::ToBeChosen => None,
        })
    }

    /// Changes roles and status in one transaction and returns the account. Roles count from the next refresh on; a change of status
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
        }
        let updated = until_settled(|| async move {
            let seen = self.account_by_id(id).await?;
            let next = RolesAndStatus {
                roles: update.roles.clone().unwrap_or_else(|| seen.roles.clone()),
                status: update.status.unwrap_or(seen.status),
            };
            self.apply_update(operator, &seen, &next, client).await
        });
        self.recorded_if_refused(operator, id, updated.await, client).await?;
        self.account_by_id(id).await
    }

    /// Writes roles and status together, with an event for each that changed. The write is conditional on what was read:
    /// `Raced` where another administrator changed it first, or the administrator who was to stay left.
    async fn apply_update(
        &self,
        operator: &Operator,
        seen: &Account,
        next: &RolesAndStatus,
        client: &ClientContext,
    ) -> Result<Round<()>, Error> {
        let mut events = Vec::new();
        if next.roles != seen.roles {
            let mut event = self.event_by(operator, AuditKind::RolesChanged, seen.id, client)?;
            event.details = AuditDetails::of_roles(&seen.roles, &next.roles);
            events.push(event);
        }
        if next.status != seen.status {
            let kind = match next.status {
                AccountStatus::Active => AuditKind::AccountEnabled,
                AccountStatus::Disabled => AuditKind::AccountDisabled,
            };
            events.push(self.event_by(operator, kind, seen.id, client)?);
        }
        if events.is_empty() {
            return Ok(Round::Settled(()));
        }
        let another = if seen.is_active_admin() && !next.is_active_admin() {
            Some(self.another_admin(seen.id).await?)
        } else {
            None
        };
        match self.store.change_roles_and_status(seen, next, another, &events).await? {
            RolesAndStatusChange::Changed => Ok(Round::Settled(())),
            RolesAndStatusChange::Outdated | RolesAndStatusChange::LastAdmin => Ok(Round::Raced),
        }
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
            let next = factor.replaced_by(None);
            Ok(self.store.switch_factor(account, &next, event).await?.round())
        };
        if self.store.change_factor::<_, Error, _>(id, decide).await? == FactorSwap::AccountGone {
            return Err(Error::NotFound);
        }
        if account.mfa_enabled {
            self.notify(&account.email, &Notification::MfaReset).await;
        }
        Ok(())
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
        self.check_choice(password, account)?;
        let hash = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
        let event = self.event_by(operator, AuditKind::PasswordOverridden, account.id, client)?;
        if !self.store.override_password(account, &hash, &event).await? {
            return Err(Error::NotFound);
        }
        self.notify(&account.email, &Notification::PasswordOverridden).await;
        Ok(())
    }

    /// Takes the address of an account as confirmed, because an operator vouches for it, and returns the account. Fails with
    /// [`Error::NotFound`], or [`Error::Invalid`] where there is no address.
    pub async fn vouch_for_address(
        &self,
        operator: &Operator,
        id: AccountId,
        client: &ClientContext,
    ) -> Result<Account, Error> {
        let account = self.account_by_id(id).await?;
        require_address(&account)?;
        if account.email_verified {
            return Ok(account);
        }
        let event = self.event_by(operator, AuditKind::EmailVerified, id, client)?;
        match self.store.vouch_for_address(&account, &event).await? {
            Finished::Done => self.account_by_id(id).await,
            Finished::Spent => Err(Error::Contended),
        }
    }

    /// Fails with [`Error::Invalid`], which lists the roles there are, for one that the policy does not have, for too many
    /// and for one named twice.
    pub fn check_roles(&self, roles: &[String]) -> Result<(), Error> {
        let invalid = |detail: String| Err(Error::Invalid(InvalidField::new(Field::Roles, detail)));
        if roles.len() > MOST_ROLES {
            return invalid(format!("at most {MOST_ROLES} roles"));
        }
        if let Some(unknown) = roles.iter().find(|role| !self.settings.policy.knows(role)) {
            let known: Vec<&str> = self.settings.policy.roles().collect();
            return invalid(format!(
                "`{}` is no role of the policy, which has: {}",
                unknown.escape_debug(),
                known.join(", ")
            ));
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

/// Fails with [`Error::Invalid`] for an account that signs in by its username alone.
pub(crate) fn require_address(account: &Account) -> Result<(), Error> {
    match account.address() {
        Some(_) => Ok(()),
        None => Err(Error::Invalid(InvalidField::new(Field::Email, "the account has no address"))),
    }
}
