//! The words of notifications: their subjects and their bodies.

use jiff::Timestamp;
use portcullis_store::SessionNews;
use secrecy::{ExposeSecret, SecretString};

use super::{CredentialChange, Notification};
use crate::ClientContext;
use crate::tokens::session_token::SessionToken;

/// What to do about a change that somebody made who is signed in.
const IF_NOT_YOU: &str = "If it was you, there is nothing to do. If not, choose a new password at once, and end the \
                          sessions and delete the API keys you do not know.";
/// What to do about a change that an administrator made.
const IF_NOT_ASKED: &str = "If you did not ask for it, ask your administrator.";

/// What to do about the end of a session at a broker.
const LOG_IN_AGAIN: &str =
    "Log in there from the page of your trading accounts, and from no link of a mail you do not expect:";

/// What a notice says: what happened, who did it, and what to do about it.
struct Notice<'a> {
    what: &'static str,
    /// The client that did it; none for an administrator, whose address is nothing to tell others.
    client: Option<&'a ClientContext>,
    advice: &'static str,
}

impl Notification<'_> {
    pub(super) fn subject(&self) -> &'static str {
        match self {
            Self::ResetPassword(_) => "Choose a new password",
            Self::ConfirmAddress(_) => "Confirm your e-mail address",
            Self::Invitation(_) => "Choose the password of your new account",
            Self::AlreadyRegistered => "You already have an account",
            Self::ConfirmNewAddress(_) => "Confirm the new e-mail address of your account",
            Self::AddressTaken => "Your e-mail address was given for another account",
            Self::AddressChanged(..) => "The e-mail address of your account was changed",
            Self::NewDevice(_) => "New sign-in to your account",
            Self::PasswordRemoved(_) => "The password of your account was removed",
            Self::AccountRecovered(_) => "Your account is being recovered with a backup code",
            Self::PasswordChanged(_) => "Your password was changed",
            Self::PasswordOverridden => "An administrator replaced your password",
            Self::MfaEnabled(_) => "A second factor was added to your account",
            Self::MfaDisabled(_) => "The second factor of your account was removed",
            Self::PasskeyAdded(_) => "A passkey was added to your account",
            Self::PasskeyRemoved(_) => "A passkey of your account was removed",
            Self::PasskeyCounterFell(_) => "There may be a copy of one of your passkeys",
            Self::MfaReset => "An administrator removed the second factor of your account",
            Self::BackupCodesRenewed(_) => "Your backup codes were replaced",
            Self::WrongCodes(_) => "Wrong codes were entered for your account",
            Self::RefreshTokenReuse(_) => "One of your sessions may have been stolen",
            Self::ApiKeyCreated(_) => "A new API key was made for your account",
            Self::ApiKeyRotated(_) => "An API key of your account was rotated",
            Self::ApiKeySetByOperator => "An administrator set an API key of your account",
            Self::AccountErased(_) => "Your account was erased",
            Self::AccountErasedByOperator => "An administrator erased your account",
            Self::ApprovalRequested => "An order waits for your approval",
            Self::BrokerSession(SessionNews::EndsSoon, _) => {
                "A session at your broker ends within half an hour"
            }
            Self::BrokerSession(SessionNews::Ended, _) => "A session at your broker has ended",
            Self::Credentials(CredentialChange::Linked, _) => "A trading account was linked to your account",
            Self::Credentials(CredentialChange::Frozen, _) => "Your broker credentials are frozen",
            Self::Credentials(CredentialChange::Unfrozen, _) => "Your broker credentials can be read again",
            Self::Credentials(CredentialChange::FrozenByAdmin, _) => {
                "An administrator froze your broker credentials"
            }
            Self::Credentials(CredentialChange::UnfrozenByAdmin, _) => {
                "An administrator lifted the freeze of your broker credentials"
            }
        }
    }

    pub(super) fn body(&self, url: &str, now: Timestamp) -> SecretString {
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
            Self::Invitation(token) => linked(
                "An administrator made an account for you. Open this link within 72 hours to choose its password; it \
                 works once, and it confirms this e-mail address:",
                &format!("{url}/reset-password#token="),
                token,
                "If you expect no account, do not open it: without a password the account cannot be used.",
            ),
            Self::AlreadyRegistered => format!(
                "Somebody, probably you, tried to make an account with this e-mail address, and there is one already. \
                 Sign in at {url}, or choose a new password there if you do not remember yours; that confirms the \
                 address, too.\n\nIf it was not you, there is nothing to do.\n"
            )
            .into(),
            Self::ConfirmNewAddress(token) => linked(
                "The owner of an account wants it to have this e-mail address. Open this link within 24 hours to confirm \
                 that the address is yours; the account is signed in to with it from then on:",
                &format!("{url}/confirm-address#token="),
                token,
                "If it was not you, do not open it: without it nothing changes.",
            ),
            Self::AddressTaken => format!(
                "The owner of another account wanted it to have this e-mail address, which is yours already. Nothing was \
                 changed.\n\nIf it was you, sign in with this address at {url}. If not, there is nothing to do.\n"
            )
            .into(),
            Self::ApprovalRequested => format!(
                "Somebody who may order with your trading account asks you to approve an order. It is not placed unless you \
                 do, and the request ends by itself within minutes. Read what is to be ordered, and approve or refuse it, \
                 at:\n\n{url}/approvals\n\nIf you expect no order, refuse it there, and look at who may order for you: your \
                 API keys and your sessions.\n"
            )
            .into(),
            Self::BrokerSession(SessionNews::EndsSoon, broker) => format!(
                "The session at {broker} that your trading works with ends within half an hour. {LOG_IN_AGAIN}\n\n\
                 {url}/trading-accounts\n\nOrders that rest at {broker} stay there.\n"
            )
            .into(),
            Self::BrokerSession(SessionNews::Ended, broker) => format!(
                "The session at {broker} that your trading works with has ended: nothing trades for you there until you log in \
                 again. {LOG_IN_AGAIN}\n\n{url}/trading-accounts\n\nOrders that rest at {broker} stay there.\n"
            )
            .into(),
            Self::AddressChanged(token, client) => linked(
                &format!(
                    "{}, and this one no longer signs in to it.\n\nIf it was you, there is nothing to do. If not, open \
                     this link within a week to have this address back; it ends every session, and asks you to choose \
                     another password:",
                    happened("The e-mail address of your account was changed to another one", Some(client), now)
                ),
                &format!("{url}/restore-address#token="),
                token,
                "Nobody else can register this address until then.",
            ),
            notice => notice.notice().map_or_else(SecretString::default, |notice| notice.text(now)),
        }
    }

    /// Returns the notice of a change; `None` for a notification that is no notice.
    fn notice(&self) -> Option<Notice<'_>> {
        let (what, client) = match self {
            Self::ResetPassword(_)
            | Self::ConfirmAddress(_)
            | Self::Invitation(_)
            | Self::AlreadyRegistered
            | Self::ConfirmNewAddress(_)
            | Self::AddressTaken
            | Self::ApprovalRequested
            | Self::BrokerSession(..)
            | Self::AddressChanged(..) => {
                return None;
            }
            Self::MfaReset => {
                return Some(by_operator("An administrator removed the second factor of your account"));
            }
            Self::PasswordOverridden => {
                return Some(by_operator(
                    "An administrator replaced the password of your account and ended its sessions",
                ));
            }
            Self::ApiKeySetByOperator => {
                return Some(by_operator("An administrator set or rotated an API key of your account"));
            }
            Self::AccountErasedByOperator => {
                return Some(by_operator("An administrator erased your account and all that belonged to it"));
            }
            Self::Credentials(CredentialChange::FrozenByAdmin, _) => {
                return Some(by_operator(
                    "An administrator stopped every reading of your broker credentials",
                ));
            }
            Self::Credentials(CredentialChange::UnfrozenByAdmin, _) => {
                return Some(by_operator(
                    "An administrator took back that nobody reads your broker credentials",
                ));
            }
            Self::RefreshTokenReuse(client) => return Some(stolen(client)),
            Self::AccountErased(client) => return Some(erased(client)),
            Self::PasskeyCounterFell(client) => return Some(copied(client)),
            Self::NewDevice(client) => ("Somebody signed in to your account from a new device", client),
            Self::PasswordRemoved(client) => {
                ("The password of your account was removed: passkeys alone sign in to it", client)
            }
            Self::AccountRecovered(client) => (
                "A link that was mailed to you and one of your backup codes ended every session and API key of your account",
                client,
            ),
            Self::PasswordChanged(client) => ("The password of your account was changed", client),
            Self::MfaEnabled(client) => ("A second factor was added to your account", client),
            Self::MfaDisabled(client) => ("The second factor of your account was removed", client),
            Self::BackupCodesRenewed(client) => {
                ("New backup codes were made for your account, and the old ones are void", client)
            }
            Self::PasskeyAdded(client) => {
                ("A passkey was added to your account, with which it can be signed in to", client)
            }
            Self::PasskeyRemoved(client) => ("A passkey of your account was removed", client),
            Self::WrongCodes(client) => (
                "Several wrong codes were entered after the right password or in one of your sessions",
                client,
            ),
            Self::ApiKeyCreated(client) => ("A new API key was made for your account", client),
            Self::ApiKeyRotated(client) => ("An API key of your account got a new secret", client),
            Self::Credentials(change, client) => (of_credentials(*change), client),
        };
        Some(Notice { what, client: Some(client), advice: IF_NOT_YOU })
    }
}

impl Notice<'_> {
    fn text(&self, now: Timestamp) -> SecretString {
        format!("{}.\n\n{}\n", happened(self.what, self.client, now), self.advice).into()
    }
}

/// Returns what happened, when, and from where.
fn happened(what: &str, client: Option<&ClientContext>, now: Timestamp) -> String {
    let ip = client.and_then(|client| client.ip.as_deref());
    let from = ip.map(|ip| format!(", from the address {ip}")).unwrap_or_default();
    format!("{what} on {}{from}", now.strftime("%-d %B %Y at %H:%M UTC"))
}

fn by_operator<'a>(what: &'static str) -> Notice<'a> {
    Notice { what, client: None, advice: IF_NOT_ASKED }
}

fn copied(client: &ClientContext) -> Notice<'_> {
    let what = "A sign-in with one of your passkeys was refused, because its authenticator has counted further before: there \
                may be a copy of it";
    let advice = "If the device it is on was set back or repaired, remove the passkey and make another one. If not, remove it \
                  at once, and look at your sessions and at your audit trail.";
    Notice { what, client: Some(client), advice }
}

fn stolen(client: &ClientContext) -> Notice<'_> {
    let what =
        "A refresh token of your account that had been replaced was used again, so its session was ended";
    let advice = "Somebody may have copied it: the device it belongs to has to sign in again. Look at your sessions and \
                  at your audit trail, and choose a new password if you do not know the address.";
    Notice { what, client: Some(client), advice }
}

fn erased(client: &ClientContext) -> Notice<'_> {
    let advice = "All that belonged to it is gone, and this address can be registered again. If it was not you, ask \
                  your administrator.";
    Notice { what: "Your account was erased", client: Some(client), advice }
}

fn of_credentials(change: CredentialChange) -> &'static str {
    match change {
        CredentialChange::Linked => "A trading account was linked to your account",
        CredentialChange::Frozen | CredentialChange::FrozenByAdmin => {
            "Every reading of your broker credentials was stopped"
        }
        CredentialChange::Unfrozen | CredentialChange::UnfrozenByAdmin => {
            "Reading of your broker credentials was allowed again"
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

#[cfg(test)]
mod tests {
    use portcullis_platform::SystemEntropy;
    use portcullis_store::ChallengeKind;

    use super::*;

    #[test]
    fn a_link_leads_to_the_frontend_and_has_its_token_behind_the_hash() {
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
            Notification::PasswordRemoved(&client),
            Notification::AccountRecovered(&client),
            Notification::WrongCodes(&client),
            Notification::RefreshTokenReuse(&client),
            Notification::AccountErased(&client),
        ] {
            let body = notification.body("https://auth.example.com", Timestamp::UNIX_EPOCH);
            assert!(body.expose_secret().contains("1 January 1970 at 00:00 UTC"));
            assert!(!body.expose_secret().contains("evil"));
        }
    }
}
