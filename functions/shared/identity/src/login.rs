//! Signing in with a password.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, AccountStatus, AuditEvent, AuditKind, Credentials, Id, NewSession, Session};
use portcullis_verifier::Claims;

use crate::email::Email;
use crate::error::Error;
use crate::hashing::Verdict;
use crate::mfa::MfaChallenge;
use crate::password::Password;
use crate::person::{DeviceName, Username};
use crate::refresh::RefreshGrant;
use crate::refresh_token::RefreshToken;
use crate::{Identity, Origin};

/// RFC 8176: what stands for a password in `amr`.
pub(crate) const PASSWORD_METHOD: &str = "pwd";

/// Under which name somebody signs in.
#[derive(Debug)]
pub enum LoginName {
    /// The address.
    Email(Email),
    /// The username.
    Username(Username),
}

/// Somebody who says who they are.
#[derive(Debug)]
pub struct LoginAttempt {
    /// Who.
    pub name: LoginName,
    /// The proof.
    pub password: Password,
    /// Whether the browser shall keep the session when it is closed.
    pub persistent: bool,
    /// What the person calls the device.
    pub device_name: Option<DeviceName>,
    /// Whether a program wants its refresh token in the body: remembered until the sign-in is finished.
    pub token_in_body: bool,
}

/// How far a right password leads.
#[derive(Debug)]
pub enum Login {
    /// To a session.
    SignedIn(Box<SignedIn>),
    /// To the question for a code.
    MfaRequired(MfaChallenge),
}

/// A session that just began.
#[derive(Debug)]
pub struct SignedIn {
    /// Whose.
    pub account: Account,
    /// When the person signed in, that is, now.
    pub at: Timestamp,
    /// A signed access token.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: Duration,
    /// The session's first refresh token.
    pub refresh: RefreshGrant,
    /// Whether a program wants it in the body.
    pub token_in_body: bool,
}

/// What is known of a session before it begins.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// How the person proved who they are (RFC 8176 values).
    pub(crate) methods: Vec<String>,
    pub(crate) persistent: bool,
    pub(crate) token_in_body: bool,
    pub(crate) device_name: Option<String>,
}

/// A session that is complete but for being stored, and the answer that may leave once it is.
#[derive(Debug)]
pub(crate) struct MadeSession {
    pub(crate) session: NewSession,
    pub(crate) event: AuditEvent,
    pub(crate) signed_in: SignedIn,
}

impl Identity {
    /// Starts a session for whoever knows the password of an active account, or asks for a code where the account wants
    /// one. Everybody else gets
    /// [`Error::InvalidCredentials`] after the same work: unknown name, wrong password and disabled account are not to
    /// be told apart.
    pub async fn sign_in(&self, attempt: LoginAttempt, origin: &Origin) -> Result<Login, Error> {
        let found = match &attempt.name {
            LoginName::Email(email) => self.store.credentials_by_email(email.as_str()).await?,
            LoginName::Username(name) => self.store.credentials_by_username(&name.0).await?,
        };
        let stored = found.as_ref().map(|credentials| credentials.password_hash.as_str());
        let verdict = self.hasher.verify(&attempt.password, stored).await?;
        let credentials = found.filter(|_| verdict != Verdict::Wrong).ok_or(Error::InvalidCredentials)?;
        admit(&credentials.account)?;
        if verdict == Verdict::RightButOutdated {
            self.upgrade_hash(&credentials, &attempt.password).await?;
        }
        if credentials.account.mfa_enabled {
            return Ok(Login::MfaRequired(self.ask_for_code(&credentials.account, attempt, origin).await?));
        }
        let beginning = Beginning {
            methods: vec![PASSWORD_METHOD.to_owned()],
            persistent: attempt.persistent,
            token_in_body: attempt.token_in_body,
            device_name: attempt.device_name.map(|name| name.0),
        };
        let made = self.make_session(credentials.account, beginning, self.clock.now(), origin)?;
        self.store.start_session(&made.session, &made.event).await?;
        Ok(Login::SignedIn(Box::new(made.signed_in)))
    }

    async fn upgrade_hash(&self, credentials: &Credentials, password: &Password) -> Result<(), Error> {
        let upgraded = self.hasher.hash(password, self.entropy.as_ref()).await?;
        // Where the old hash is gone the password was changed meanwhile, and that one stays.
        self.store
            .replace_password_hash(&credentials.account.email, &credentials.password_hash, &upgraded)
            .await?;
        Ok(())
    }

    /// A session with its tokens. Nothing of it counts before it is stored.
    pub(crate) fn make_session(
        &self,
        account: Account,
        beginning: Beginning,
        now: Timestamp,
        origin: &Origin,
    ) -> Result<MadeSession, Error> {
        let id = Id::generate(now, self.entropy.as_ref())?;
        let token =
            RefreshToken::generate(self.keyring.making_mac()?, account.id, id, 0, self.entropy.as_ref())?;
        let session = NewSession {
            id,
            account: account.id,
            epoch: account.epoch,
            current: token.digest(),
            methods: beginning.methods,
            persistent: beginning.persistent,
            device_name: beginning.device_name,
            user_agent: origin.user_agent.clone(),
            ip: origin.ip.clone(),
            created_at: now,
            idle_expires_at: now + self.settings.idle_limit(),
            expires_at: now + self.settings.session_max_age,
        };
        let mut event = self.audit_event(AuditKind::LoginSucceeded, account.id, origin)?;
        event.session = Some(id);
        let signed_in = SignedIn {
            at: now,
            access_token: self.access_token(&account, &session, now)?,
            expires_in: self.settings.access_token_ttl,
            refresh: RefreshGrant::of(token, &session, now),
            token_in_body: beginning.token_in_body,
            account,
        };
        Ok(MadeSession { session, event, signed_in })
    }

    /// A fresh access token for a session.
    pub(crate) fn access_token(
        &self,
        account: &Account,
        session: &NewSession,
        now: Timestamp,
    ) -> Result<String, Error> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        let issued_at = unix_seconds(now);
        self.keyring.signing.sign(&Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: account.id.to_string(),
            iat: issued_at,
            exp: issued_at + self.settings.access_token_ttl.as_secs(),
            nbf: None,
            jti: format!("{:032x}", u128::from_be_bytes(random)),
            email: account.email.clone(),
            roles: account.roles.clone(),
            session_id: session.id.to_string(),
            epoch: session.epoch,
            token_type: "access".to_owned(),
            auth_time: unix_seconds(session.created_at),
            amr: session.methods.clone(),
        })
    }
}

/// The one gate in front of every token.
pub(crate) fn admit(account: &Account) -> Result<(), Error> {
    match account.status {
        AccountStatus::Active => Ok(()),
        AccountStatus::Disabled => Err(Error::InvalidCredentials),
    }
}

/// Whether a session of an account may be used.
pub(crate) fn is_usable(account: &Account, session: &Session, now: Timestamp) -> bool {
    admit(account).is_ok() && session.is_live(account, now)
}

pub(crate) fn unix_seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}
