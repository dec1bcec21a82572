//! Notifications by email. A notification that cannot be sent fails no request.
//!
//! Their text is fixed: nothing a client sent is quoted, or a stranger could make the service deliver messages of
//! theirs. A link has its token in the fragment, after the `#`, which browsers do not send to servers.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_platform::{Mail, with_causes};
use portcullis_store::Account;
use secrecy::{ExposeSecret, SecretString};

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
    /// A registration was attempted with an address that has an account.
    AlreadyRegistered,
    /// A sign-in from a device that was not known.
    NewDevice(&'a ClientContext),
    /// The password was replaced.
    PasswordChanged(&'a ClientContext),
    /// A second factor was enabled.
    MfaEnabled(&'a ClientContext),
    /// The second factor was disabled.
    MfaDisabled(&'a ClientContext),
    /// An API key was created.
    ApiKeyCreated(&'a ClientContext),
    /// Broker credentials were linked, frozen or unfrozen.
    Credentials(CredentialChange, &'a ClientContext),
}

/// A change to broker credentials that their owner is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialChange {
    /// A trading account was linked.
    Linked,
    /// Services can no longer read them.
    Frozen,
    /// Services can read them again.
    Unfrozen,
}

impl Notification<'_> {
    fn subject(&self) -> &'static str {
        match self {
            Self::ResetPassword(_) => "Choose a new password",
            Self::ConfirmAddress(_) => "Confirm your e-mail address",
            Self::AlreadyRegistered => "You already have an account",
            Self::NewDevice(_) => "New sign-in to your account",
            Self::PasswordChanged(_) => "Your password was changed",
            Self::MfaEnabled(_) => "A second factor was added to your account",
            Self::MfaDisabled(_) => "The second factor of your account was removed",
            Self::ApiKeyCreated(_) => "A new API key was made for your account",
            Self::Credentials(CredentialChange::Linked, _) => "A trading account was linked to your account",
            Self::Credentials(CredentialChange::Frozen, _) => "Your broker credentials are frozen",
            Self::Credentials(CredentialChange::Unfrozen, _) => "Your broker credentials can be read again",
        }
    }

    fn body(&self, url: &str, now: Timestamp) -> SecretString {
        match self {
            Self::ResetPassword(token) => linked(
                "Somebody, probably you, asked to choose a new password for your account. Open this link within 30 \
                 minutes to do so; it works once, and it ends every session:",
                &format!("{url}/reset-password#token="),
                token,
                "If it was not you, there is nothing to do: your password stays as it is.",
            ),
            Self::ConfirmAddress(token) => linked(
                "An account was made with this e-mail address. Open this link within 24 hours to confirm that the \
                 address is yours:",
                &format!("{url}/verify-email#token="),
                token,
                "If it was not you, do not open it: without it the account cannot be used.",
            ),
            Self::AlreadyRegistered => format!(
                "Somebody, probably you, tried to make an account with this e-mail address, and there is one already. \
                 Sign in at {url}, or choose a new password there if you do not remember yours; that confirms the \
                 address, too.\n\nIf it was not you, there is nothing to do.\n"
            )
            .into(),
            Self::NewDevice(client) => security_notice("Somebody signed in to your account from a new device", client, now),
            Self::PasswordChanged(client) => security_notice("The password of your account was changed", client, now),
            Self::MfaEnabled(client) => security_notice("A second factor was added to your account", client, now),
            Self::MfaDisabled(client) => {
                security_notice("The second factor of your account was removed", client, now)
            }
            Self::ApiKeyCreated(client) => security_notice("A new API key was made for your account", client, now),
            Self::Credentials(CredentialChange::Linked, client) => {
                security_notice("A trading account was linked to your account", client, now)
            }
            Self::Credentials(CredentialChange::Frozen, client) => {
                security_notice("Every reading of your broker credentials was stopped", client, now)
            }
            Self::Credentials(CredentialChange::Unfrozen, client) => {
                security_notice("Reading of your broker credentials was allowed again", client, now)
            }
        }
    }
}

/// Returns the text of a notification with a link. It is built in one allocation, so that no copy of the token is left
/// in memory.
fn linked(before: &str, link: &str, token: &SessionToken, after: &str) -> SecretString {
    let token = token.secret().expose_secret();
    let mut text = String::with_capacity(before.len() + link.len() + token.len() + after.len() + 8);
    for part in [before, "\n\n", link, token, "\n\n", after, "\n"] {
        text.push_str(part);
    }
    text.into()
}

fn security_notice(what: &str, client: &ClientContext, now: Timestamp) -> SecretString {
    let from = client.ip.as_deref().map(|ip| format!(", from the address {ip}")).unwrap_or_default();
    format!(
        "{what} on {}{from}.\n\nIf it was you, there is nothing to do. If not, choose a new password at once, and end \
         the sessions and delete the API keys you do not know.\n",
        now.strftime("%-d %B %Y at %H:%M UTC")
    )
    .into()
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

    /// Sends a notification. Never fails: an error or a timeout is logged and counted (`MailFailures`), and the request
    /// goes on.
    pub(crate) async fn notify(&self, to: &str, notification: &Notification<'_>) {
        let body = notification.body(&self.public_url, self.clock.now());
        let mail = Mail { to: to.to_owned(), subject: notification.subject(), body };
        let failed = match tokio::time::timeout(SEND_TIMEOUT, self.mailer.send(&mail)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => with_causes(&error),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::error!(MailFailures = 1.0, error = failed, "a mail was not sent");
    }
}

/// Returns the result of `work`, and not before [`FIXED_DURATION`] has passed, so that the response time does not tell
/// whether a notification was sent: on Lambda nothing runs after the response, so it must be sent before it.
pub(crate) async fn with_fixed_duration<T>(work: impl Future<Output = T>) -> T {
    let (done, ()) = tokio::join!(work, tokio::time::sleep(FIXED_DURATION));
    done
}

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::ChallengeKind;

    use super::*;

    #[test]
    fn a_link_leads_to_the_public_url_and_has_its_token_behind_the_hash() {
        let token = SessionToken::generate(ChallengeKind::PasswordReset, &SystemEntropy).unwrap();
        let notification = Notification::ResetPassword(&token);
        let body = notification.body("https://auth.example.com", Timestamp::UNIX_EPOCH);
        let link =
            format!("\nhttps://auth.example.com/reset-password#token={}\n", token.secret().expose_secret());
        assert!(body.expose_secret().contains(&link));
        assert!(!format!("{notification:?} {body:?}").contains(token.secret().expose_secret()));
    }

    #[test]
    fn nothing_a_client_says_of_itself_is_in_a_notification() {
        let client =
            ClientContext { user_agent: Some("visit evil.example".to_owned()), ..ClientContext::default() };
        for notification in [
            Notification::NewDevice(&client),
            Notification::ApiKeyCreated(&client),
            Notification::PasswordChanged(&client),
        ] {
            let body = notification.body("https://auth.example.com", Timestamp::UNIX_EPOCH);
            assert!(body.expose_secret().contains("1 January 1970 at 00:00 UTC"));
            assert!(!body.expose_secret().contains("evil"));
        }
    }
}
