//! Signing in with a password.
//!
//! Two rounds to the store: the login record and the end of the audit trail are read, then the outcome is recorded
//! beside the session. The record decides whether the client learns the outcome: of attempts sent in parallel the trail
//! accepts one after the other (`portcullis_store::SignIns`). A name without an account takes the same path with the
//! same calls, and ends like a wrong password.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::Entropy;
use portcullis_store::{
    Account, AccountId, Actor, AttemptSource, AuditEvent, AuditKind, ChainEnd, Challenge, ChallengeKind,
    Digest, Id, LoginRecord, NewSession, Session, SignInStep, SignIns,
};
use portcullis_verifier::{Assurance, Claims};
use secrecy::SecretString;
use tokio::task::JoinHandle;

use crate::accounts::email::Email;
use crate::accounts::person::{DeviceName, Username};
use crate::error::Error;
use crate::mfa::{CODE_METHOD, EnrolmentChallenge, MfaChallenge};
use crate::notifications::Notification;
use crate::passwords::hashing::Verdict;
use crate::passwords::password::Password;
use crate::sessions::refresh::RefreshGrant;
use crate::sign_in::attempts::{PASSWORD_BACKOFF, placeholder_account, throttled, too_many_from_there};
use crate::sign_in::devices::looks;
use crate::tokens::refresh_token::RefreshToken;
use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// The `amr` value of a password (RFC 8176).
pub(crate) const PASSWORD_METHOD: &str = "pwd";

/// The name of a sign-in: an email address or a username.
#[derive(Debug)]
pub enum LoginName {
    /// The email address.
    Email(Email),
    /// The username, in lower case.
    Username(Username),
}

/// An attempt to sign in with a password.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The name to sign in with.
    pub name: LoginName,
    /// The password, unverified.
    pub password: Password,
    /// Whether the browser keeps the session when it is closed.
    pub persistent: bool,
    /// The name the user gives the device.
    pub device_name: Option<DeviceName>,
    /// Whether the refresh token is returned in the response body in place of a cookie; kept until the sign-in is
    /// finished.
    pub token_in_body: bool,
}

/// The result of a sign-in with the right password.
#[derive(Debug)]
pub enum Login {
    /// A session began.
    SignedIn(Box<SignedIn>),
    /// A code of the second factor is required first.
    MfaRequired(MfaChallenge),
    /// A second factor has to be set up first, which a role of the account requires.
    EnrolmentRequired(EnrolmentChallenge),
}

/// A session that just began, with its tokens.
#[derive(Debug)]
pub struct SignedIn {
    /// The account that signed in.
    pub account: Account,
    /// When the session began.
    pub at: Timestamp,
    /// A signed access token.
    pub access_token: String,
    /// Lifetime of the access token.
    pub expires_in: Duration,
    /// The session's first refresh token.
    pub refresh: RefreshGrant,
    /// Whether the refresh token is returned in the response body.
    pub token_in_body: bool,
    /// The token by which the device is known at its next sign-in.
    pub device: SecretString,
}

/// A sign-in in progress: what is decided about its session before the session is stored.
#[derive(Debug)]
pub(crate) struct PendingSession {
    /// How the person proved who they are (RFC 8176 values).
    pub(crate) methods: Vec<String>,
    pub(crate) persistent: bool,
    pub(crate) token_in_body: bool,
    pub(crate) device_name: Option<String>,
}

impl PendingSession {
    /// Returns the pending session that a challenge carries from one request to the next.
    pub(crate) fn of(challenge: &Challenge) -> Self {
        Self {
            methods: challenge.methods.clone(),
            persistent: challenge.persistent,
            token_in_body: challenge.token_in_body,
            device_name: challenge.device_name.clone(),
        }
    }

    /// Returns a challenge that must be completed with a factor before the session begins: with a code of it, or by setting
    /// it up. Nothing is stored of it, and its token is made of it.
    pub(crate) fn sealed_challenge(
        self,
        kind: ChallengeKind,
        account: &Account,
        expires_at: Timestamp,
    ) -> Challenge {
        self.challenge_of(kind, [0; 32], account, expires_at)
    }

    /// Returns how surely the person has proved who they are so far.
    pub(crate) fn assurance(&self) -> Assurance {
        Assurance::of_methods(&self.methods)
    }

    /// Returns a challenge that must be completed with this token before the session begins. It carries the account's
    /// session epoch: a password change or a revocation in between ends it.
    pub(crate) fn challenge(
        self,
        kind: ChallengeKind,
        token: &SessionToken,
        account: &Account,
        expires_at: Timestamp,
    ) -> Challenge {
        self.challenge_of(kind, token.digest(), account, expires_at)
    }

    fn challenge_of(
        self,
        kind: ChallengeKind,
        digest: Digest,
        account: &Account,
        expires_at: Timestamp,
    ) -> Challenge {
        Challenge {
            methods: self.methods,
            persistent: self.persistent,
            token_in_body: self.token_in_body,
            device_name: self.device_name,
            ..Challenge::of_account(kind, digest, account, expires_at)
        }
    }
}

/// A session that is ready to be stored, and what the client receives once it is.
#[derive(Debug)]
pub(crate) struct MadeSession {
    pub(crate) session: NewSession,
    pub(crate) event: AuditEvent,
    pub(crate) sign_in: PendingSignIn,
}

/// The response of a sign-in whose access token is still being signed, on another thread, while the session is stored.
#[derive(Debug)]
pub(crate) struct PendingSignIn {
    pub(crate) account: Account,
    at: Timestamp,
    access_token: JoinHandle<Result<String, Error>>,
    expires_in: Duration,
    refresh: RefreshGrant,
    token_in_body: bool,
    device: SecretString,
}

impl PendingSignIn {
    /// Returns the finished sign-in, once the session is stored; fails when signing failed.
    pub(crate) async fn finish(self) -> Result<SignedIn, Error> {
        let signed = self.access_token.await;
        Ok(SignedIn {
            access_token: signed.map_err(|_| Error::Internal("the thread that signs a token is gone"))??,
            account: self.account,
            at: self.at,
            expires_in: self.expires_in,
            refresh: self.refresh,
            token_in_body: self.token_in_body,
            device: self.device,
        })
    }
}

/// An attempt whose outcome is not recorded yet, with the end of the audit trail as it was read.
///
/// That end decides the race: the record of the outcome takes the number after it. If another attempt took the number
/// first, this one is checked again against the count the other left, and may turn out throttled.
struct PendingAttempt {
    name: String,
    source: AttemptSource,
    sign_ins: ChainEnd,
}

/// The result of comparing a password, before anything of it is recorded or returned.
enum PasswordCheck {
    /// The password is right and the account may be issued a token; the flag says whether its hash is outdated.
    Admitted(Box<LoginRecord>, bool),
    /// The password is right and the address not confirmed yet, which a client with the right password may learn.
    Unconfirmed(AccountId),
    /// Any other outcome; `None` where the name has no account.
    Refused(Option<AccountId>),
}

impl Identity {
    /// Returns a session, or the challenge for a code where the account has a second factor.
    ///
    /// Fails with [`Error::InvalidCredentials`] for an unknown name, a wrong password and a disabled account, after the
    /// same work and not to be told apart; with [`Error::TooManyAttempts`] while the name or the client address is
    /// throttled; with [`Error::EmailNotVerified`] or [`Error::PasswordExpired`] where the password was right.
    ///
    /// Throttling is checked twice. The check here saves the work of a hash; the one that counts is made by the store
    /// as it records the outcome, because only there are parallel attempts in an order.
    pub async fn sign_in(&self, request: LoginAttempt, client: &ClientContext) -> Result<Login, Error> {
        let now = self.clock.now();
        let name = self.address_of(&request.name).await?;
        let (found, sign_ins, address_has_room) = tokio::try_join!(
            async { Ok(self.store.login_record_by_email(&name).await?) },
            async { Ok(self.store.sign_ins_end(&name).await?) },
            self.has_room_for_failure(client, now),
        )?;
        let account = found.as_ref().map(|record| &record.account);
        let source = self.attempt_source(account, client);
        if !address_has_room && source.is_stranger() {
            return Err(too_many_from_there(now));
        }
        let attempt = PendingAttempt { name, source, sign_ins };
        let known = attempt.sign_ins.sign_ins();
        known
            .check(&attempt.source, &PASSWORD_BACKOFF.waits(), now)
            .map_err(|refusal| throttled(refusal, now))?;
        self.check_right_attempts(account, &known, &attempt.source, now)?;
        let checked = self.check_password(found, &request.password, client).await?;
        if !matches!(checked, PasswordCheck::Refused(_)) {
            self.limit_right_attempts(&known, client, now).await?;
        }
        match checked {
            PasswordCheck::Admitted(login_record, is_outdated) => {
                let password = request.password.clone();
                let entered = Box::pin(self.complete_sign_in(&login_record, request, attempt, client)).await;
                // Only now: were a hash upgraded before the record stands, the response time of a throttled attempt
                // would tell that its password was right.
                if is_outdated && matches!(entered, Ok(_) | Err(Error::PasswordExpired(_))) {
                    self.upgrade_hash(&login_record, &password, client).await;
                }
                entered
            }
            PasswordCheck::Unconfirmed(account) => {
                Err(Box::pin(self.refuse_unconfirmed(account, attempt, client)).await)
            }
            PasswordCheck::Refused(account) => Err(Box::pin(self.refuse(account, attempt, client)).await),
        }
    }

    /// Returns the canonical address behind a name. A username without an account is returned as it is: it is no
    /// address, so no login record is found under it, and the path stays the same.
    async fn address_of(&self, name: &LoginName) -> Result<String, Error> {
        Ok(match name {
            LoginName::Email(email) => email.as_str().to_owned(),
            LoginName::Username(name) => {
                self.store.address_of_username(&name.0).await?.unwrap_or_else(|| name.0.clone())
            }
        })
    }

    async fn check_password(
        &self,
        found: Option<LoginRecord>,
        password: &Password,
        client: &ClientContext,
    ) -> Result<PasswordCheck, Error> {
        let stored = found.as_ref().and_then(|login_record| login_record.password_hash.as_deref());
        let verdict = self.hasher.of(client).verify(password, stored).await?;
        let Some(login_record) = found else { return Ok(PasswordCheck::Refused(None)) };
        let admitted = self.admit(&login_record.account);
        match (verdict, admitted) {
            (Verdict::Wrong, _) | (_, Err(Error::InvalidCredentials)) => {
                Ok(PasswordCheck::Refused(Some(login_record.account.id)))
            }
            (_, Err(_)) => Ok(PasswordCheck::Unconfirmed(login_record.account.id)),
            (verdict, Ok(())) => {
                Ok(PasswordCheck::Admitted(Box::new(login_record), verdict == Verdict::RightButOutdated))
            }
        }
    }

    /// Returns what a right password leads to: the challenge for a code, the replacement of an expired password, the
    /// enrolment of a factor that a role requires, or a session. Each outcome is stored beside a record of the trail; where that record comes out throttled, the row
    /// beside it is taken back and the client gets [`Error::TooManyAttempts`] only.
    async fn complete_sign_in(
        &self,
        login_record: &LoginRecord,
        request: LoginAttempt,
        attempt: PendingAttempt,
        client: &ClientContext,
    ) -> Result<Login, Error> {
        let (account, now, waits) =
            (login_record.account.clone(), self.clock.now(), PASSWORD_BACKOFF.waits());
        let pending = PendingSession {
            methods: vec![PASSWORD_METHOD.to_owned()],
            persistent: request.persistent,
            token_in_body: request.token_in_body,
            device_name: request.device_name.map(|name| name.0),
        };
        // The code comes first: an old password alone must not be enough to choose a new one.
        let remembered =
            self.remembered_code(&account, client, now).filter(|_| self.may_skip_code(&account, now));
        if account.mfa_enabled && remembered.is_none() {
            let asked = self.ask_for_code(&account, pending, attempt.sign_ins, client).await?;
            return Ok(Login::MfaRequired(asked));
        }
        if !self.has_current_password(&account, now) {
            let ((challenge, expired), event) = self.rotation(&account, pending, now, client)?;
            let event = event.behind(attempt.sign_ins);
            let begun = self.store.begin_challenge(&challenge, &event, &waits).await?;
            return Err(begun.map_or_else(|refusal| throttled(refusal, now), |()| expired));
        }
        if self.check_roles_met(&account, pending.assurance()).is_err() {
            let asked = self.ask_for_enrolment(&account, pending, attempt.sign_ins, client).await?;
            return Ok(Login::EnrolmentRequired(asked));
        }
        let before = attempt.sign_ins.sign_ins();
        let made = self.make_session(account, pending, now, client)?;
        let event = made.event.behind(attempt.sign_ins);
        let started = self.store.start_session(&made.session, &event, &waits).await?;
        started.map_err(|refusal| throttled(refusal, now))?;
        self.notify_of_new_device(&made.sign_in.account, before, client).await;
        Ok(Login::SignedIn(Box::new(made.sign_in.finish().await?)))
    }

    /// Returns whether a device of the owner may sign in without a code where one is remembered: no role requires more than
    /// the password, and the password is not to be replaced by whoever has it.
    fn may_skip_code(&self, account: &Account, now: Timestamp) -> bool {
        self.check_roles_met(account, Assurance::Aal1).is_ok() && self.has_current_password(account, now)
    }

    /// Records a failed attempt and returns its error, with the same calls whether or not the name has an account.
    async fn refuse(
        &self,
        account: Option<AccountId>,
        attempt: PendingAttempt,
        client: &ClientContext,
    ) -> Error {
        let noted = async {
            let now = self.clock.now();
            let source = attempt.source.clone();
            let step = SignInStep::Wrong(source.clone());
            // Joined, not try_joined: an error of one count must not cancel the other.
            let (answered, counted) = tokio::join!(
                self.record_refusal(account, step, attempt, client),
                self.count_failure(&source, client, now)
            );
            counted.and(answered)
        };
        Box::pin(noted).await.map_or_else(|error| error, |()| Error::InvalidCredentials)
    }

    /// Records a right password whose address is not confirmed and returns [`Error::EmailNotVerified`], or
    /// [`Error::TooManyAttempts`] where the record comes out throttled.
    async fn refuse_unconfirmed(
        &self,
        account: AccountId,
        attempt: PendingAttempt,
        client: &ClientContext,
    ) -> Error {
        let step = SignInStep::Right(attempt.source.clone());
        let answered = self.record_refusal(Some(account), step, attempt, client).await;
        answered.map_or_else(|error| error, |()| Error::EmailNotVerified)
    }

    /// Records an attempt that got no session, of nobody where the name has no account; fails with [`Error::TooManyAttempts`] where parallel attempts throttled
    /// it meanwhile.
    async fn record_refusal(
        &self,
        account: Option<AccountId>,
        step: SignInStep,
        attempt: PendingAttempt,
        client: &ClientContext,
    ) -> Result<(), Error> {
        let subject = account.map_or_else(|| placeholder_account(&attempt.name), Ok)?;
        let event = self.audit_event(AuditKind::LoginFailed, subject, client)?;
        let event = if account.is_none() { event.of_nobody() } else { event };
        let mut event = event.of_sign_in_with(&attempt.name, step).behind(attempt.sign_ins);
        event.actor = Actor::Anonymous;
        let answered = self.store.record_attempt(&event, &PASSWORD_BACKOFF.waits()).await?;
        answered.map_err(|refusal| throttled(refusal, event.at))
    }

    /// Notifies the owner of a sign-in from a device that is not known; the first sign-in of an account is not
    /// notified. The session is stored by now, so an error of the store is logged and fails no sign-in.
    pub(crate) async fn notify_of_new_device(
        &self,
        account: &Account,
        before: SignIns,
        client: &ClientContext,
    ) {
        let before = before.since(account.created_at);
        let is_first = before.last_login_at.is_none();
        let is_known = self.known_device(account, client).is_some()
            || before.last_seen_as.as_ref().is_some_and(|look| *look == looks(client));
        if is_first || is_known {
            return;
        }
        let recorded = async {
            let event = self.audit_event(AuditKind::NewDevice, account.id, client)?;
            let event = event.of_sign_in_with(&account.email, SignInStep::None);
            Ok::<_, Error>(self.store.record(&event).await?)
        };
        if let Err(error) = recorded.await {
            tracing::warn!(%error, "a sign-in from a new device was not recorded as one");
        }
        self.notify(&account.email, &Notification::NewDevice(client)).await;
    }

    /// Replaces an outdated hash. An error is logged; the next sign-in retries.
    async fn upgrade_hash(&self, login_record: &LoginRecord, password: &Password, client: &ClientContext) {
        let email = &login_record.account.email;
        let Some(old) = &login_record.password_hash else { return };
        let upgraded = async {
            let upgraded = self.hasher.of(client).hash(password, self.entropy.as_ref()).await?;
            // Conditional on the old hash: if the password was changed meanwhile, the new one stays.
            Ok::<_, Error>(self.store.replace_password_hash(email, old, &upgraded).await?)
        };
        if let Err(error) = upgraded.await {
            tracing::warn!(%error, "an outdated password hash stays");
        }
    }

    /// Returns a session with its tokens, valid only once it is stored. It carries the session epoch of the account as
    /// it was read before the password was checked: where the epoch was raised meanwhile (password changed, account
    /// disabled), the session is behind it from its first moment and never usable.
    pub(crate) fn make_session(
        &self,
        account: Account,
        pending: PendingSession,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<MadeSession, Error> {
        self.make_session_of((now, self.entropy.as_ref()), account, pending, now, client)
    }

    /// Returns the same, whose id and refresh token are of this time and these bytes.
    pub(crate) fn make_session_of(
        &self,
        source: (Timestamp, &dyn Entropy),
        account: Account,
        pending: PendingSession,
        now: Timestamp,
        client: &ClientContext,
    ) -> Result<MadeSession, Error> {
        let (begun, entropy) = source;
        let id = Id::generate(begun, entropy)?;
        let (key, of) = (self.keyring.making_mac()?, (account.id, id));
        let token = RefreshToken::generate(key, of, 0, begun, entropy)?;
        let session = NewSession {
            id,
            account: account.id,
            session_epoch: account.session_epoch,
            current: token.digest(),
            methods: pending.methods,
            persistent: pending.persistent,
            device_name: pending.device_name,
            user_agent: client.user_agent.clone(),
            ip: client.ip.clone(),
            created_at: now,
            idle_expires_at: now + self.settings.idle_limit(),
            expires_at: now + self.settings.session_max_age,
        };
        let event = self.audit_event(AuditKind::LoginSucceeded, account.id, client)?;
        let source = self.attempt_source(Some(&account), client);
        let step = SignInStep::SignedIn { source, seen_as: looks(client) };
        let mut event = event.of_sign_in_with(&account.email, step);
        event.session = Some(id);
        event.at = now;
        // A code that was given before is not given anew by being remembered.
        let code_given_at = if session.methods.iter().any(|method| method == CODE_METHOD) {
            Some(now)
        } else {
            self.remembered_code(&account, client, now)
        };
        let (claims, key) =
            (self.fresh_claims(&account, (&session, now), now)?, Arc::clone(self.keyring.signing()?));
        let sign_in = PendingSignIn {
            at: now,
            access_token: tokio::task::spawn_blocking(move || key.sign(&claims)),
            expires_in: self.settings.access_token_ttl,
            refresh: RefreshGrant::of(token, &session, now),
            token_in_body: pending.token_in_body,
            device: self.remembering_device_token(&account, code_given_at, client)?,
            account,
        };
        Ok(MadeSession { session, event, sign_in })
    }

    /// Returns a signed access token for a session; fails without randomness or when signing fails.
    pub(crate) fn access_token(
        &self,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Result<String, Error> {
        let proved = (&session.made, session.proved_at());
        self.keyring.signing()?.sign(&self.fresh_claims(account, proved, now)?)
    }

    /// Returns the claims of a token issued now, for a session and the time of the last proof inside it.
    pub(crate) fn fresh_claims(
        &self,
        account: &Account,
        (session, proved_at): (&NewSession, Timestamp),
        now: Timestamp,
    ) -> Result<Claims, Error> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random)?;
        let issued_at = unix_seconds(now);
        Ok(Claims {
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            sub: account.id.to_string(),
            iat: issued_at,
            exp: issued_at + self.settings.access_token_ttl.as_secs(),
            nbf: None,
            jti: format!("{:032x}", u128::from_be_bytes(random)),
            email: account.address().map(str::to_owned),
            roles: account.roles.clone(),
            session_id: session.id.to_string(),
            epoch: session.session_epoch,
            token_type: "access".to_owned(),
            auth_time: unix_seconds(proved_at),
            amr: session.methods.clone(),
            acr: Assurance::of_methods(&session.methods),
        })
    }
}

pub(crate) fn unix_seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}
