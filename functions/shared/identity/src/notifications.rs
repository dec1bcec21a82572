//! Notifications by email. A notification that cannot be sent fails no request.
//!
//! Their text is fixed: nothing a client sent is quoted, or a stranger could make the service deliver messages of
//! theirs. A link has its token in the fragment, after the `#`, which browsers do not send to servers. `text` has the
//! words.

mod text;

use std::time::Duration;

use portcullis_platform::{Mail, with_causes};
use portcullis_store::{Account, SessionNews};

use crate::tokens::session_token::SessionToken;
use crate::{ClientContext, Identity};

/// Timeout of sending one notification.
const SEND_TIMEOUT: Duration = Duration::from_millis(800);
/// How long a request takes whose response must not tell whether a notification was sent.
const FIXED_DURATION: Duration = Duration::from_secs(1);

/// A notification to the owner of an account or an address.
#[derive(Debug)]
pub(crate) enum Notification<'a> {
    /// The link to reset the password.
    ResetPassword(&'a SessionToken),
    /// The link to confirm the address.
    ConfirmAddress(&'a SessionToken),
    /// The link with which somebody who was invited chooses the first password.
    Invitation(&'a SessionToken),
    /// A registration was attempted with an address that has an account.
    AlreadyRegistered,
    /// The link with which an account gets this address.
    ConfirmNewAddress(&'a SessionToken),
    /// Another account was to get this address, which is taken.
    AddressTaken,
    /// The account got another address; the link goes back to this one.
    AddressChanged(&'a SessionToken, &'a ClientContext),
    /// A sign-in from a device that was not known.
    NewDevice(&'a ClientContext),
    /// The password was replaced.
    PasswordChanged(&'a ClientContext),
    /// A second factor was enabled.
    MfaEnabled(&'a ClientContext),
    /// The second factor was disabled.
    MfaDisabled(&'a ClientContext),
    /// New backup codes took the place of the old ones.
    BackupCodesRenewed(&'a ClientContext),
    /// The password was removed by its owner, or whoever had a passkey of theirs.
    PasswordRemoved(&'a ClientContext),
    /// Everything of an account without a password was ended by a link and a code.
    AccountRecovered(&'a ClientContext),
    /// A passkey was added.
    PasskeyAdded(&'a ClientContext),
    /// A passkey was removed.
    PasskeyRemoved(&'a ClientContext),
    /// The signature counter of a passkey fell, as that of a copy does.
    PasskeyCounterFell(&'a ClientContext),
    /// An administrator removed the second factor.
    MfaReset,
    /// An administrator replaced the password.
    PasswordOverridden,
    /// Several codes in a row were wrong, after a right password or in a session.
    WrongCodes(&'a ClientContext),
    /// A refresh token that had been replaced was presented; the session was ended.
    RefreshTokenReuse(&'a ClientContext),
    /// An API key was created.
    ApiKeyCreated(&'a ClientContext),
    /// An API key got another secret.
    ApiKeyRotated(&'a ClientContext),
    /// An administrator set or rotated the API key of the account.
    ApiKeySetByOperator,
    /// The account was erased.
    AccountErased(&'a ClientContext),
    /// An administrator erased the account.
    AccountErasedByOperator,
    /// Broker credentials were linked, frozen or unfrozen.
    Credentials(CredentialChange, &'a ClientContext),
    /// The approval of an order was asked for.
    ApprovalRequested,
    /// The session at the broker of this title ends soon, or has ended.
    BrokerSession(SessionNews, &'a str),
}

/// A change to broker credentials that their owner is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialChange {
    /// A trading account was linked.
    Linked,
    /// Services can no longer read them.
    Frozen,
    /// Services can no longer read them, because an administrator says so.
    FrozenByAdmin,
    /// Services can read them again.
    Unfrozen,
    /// An administrator lifted a freeze of theirs.
    UnfrozenByAdmin,
}

impl Identity {
    /// Notifies the owner of an account of a change to their broker credentials. Never fails; a notification that
    /// cannot be sent is logged and counted (`MailFailures`).
    pub async fn notify_of_credentials(
        &self,
        owner: &Account,
        news: CredentialChange,
        client: &ClientContext,
    ) {
        self.notify(&owner.email, &Notification::Credentials(news, client)).await;
    }

    /// Notifies the owner of an account that their session at the broker of this title ends soon, or has ended. Never fails; a
    /// notification that cannot be sent is logged and counted (`MailFailures`).
    pub async fn notify_of_session(&self, owner: &Account, news: SessionNews, broker: &str) {
        self.notify(&owner.email, &Notification::BrokerSession(news, broker)).await;
    }

    /// Sends a notification. Never fails: an error or a timeout is logged and counted (`MailFailures`), and the request
    /// goes on.
    pub(crate) async fn notify(&self, to: &str, notification: &Notification<'_>) {
        if let Err(error) = self.send(to, notification).await {
            tracing::error!(MailFailures = 1.0, error, "a mail was not sent");
        }
    }

    /// Sends a notification, or returns why that failed, in words for the operator. An account without an address is
    /// known by a name that is none, and gets no mail.
    pub(crate) async fn send(&self, to: &str, notification: &Notification<'_>) -> Result<(), String> {
        if !to.contains('@') {
            return Ok(());
        }
        let body = notification.body(&self.frontend_url, self.clock.now());
        let mail = Mail { to: to.to_owned(), subject: notification.subject(), body };
        match tokio::time::timeout(SEND_TIMEOUT, self.mailer.send(&mail)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(with_causes(&error)),
            Err(_) => Err("it took too long".to_owned()),
        }
    }
}

/// Returns the result of `work`, and not before [`FIXED_DURATION`] has passed, so that the response time does not tell
/// whether a notification was sent: on Lambda nothing runs after the response, so it must be sent before it.
pub(crate) async fn with_fixed_duration<T>(work: impl Future<Output = T>) -> T {
    let (done, ()) = tokio::join!(work, tokio::time::sleep(FIXED_DURATION));
    done
}
