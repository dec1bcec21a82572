//! How often what is no failure may be done: what makes accounts, sends mail, hashes a password or tells something, and
//! works each time. One table of all limits; failed attempts are throttled by `sign_in::attempts`.
//!
//! A use is counted before anything is done, in windows of fixed length. Both counts are raised by a write that is
//! conditional on there being room, so that uses side by side get no more of it than uses one after the other.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{Account, ApprovalRate, AttemptSource, Member, SignIns, Use};

use crate::error::Error;
use crate::sign_in::attempts::Network;
use crate::{ClientContext, Identity};

const HOUR: Duration = Duration::from_hours(1);

/// How often something may be done in a window of time. An office behind one address meets none of these numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Its name in the keys of the counts.
    name: &'static str,
    /// For one account or, where there is none yet, for one email address and client address together: what strangers
    /// do elsewhere uses up nothing of it.
    by_account: u64,
    /// For one client address.
    by_address: u64,
    window: Duration,
}

/// Registrations, whatever becomes of them.
pub(crate) const REGISTRATIONS: Limit =
    Limit { name: "register", by_account: 10, by_address: 100, window: HOUR };
/// Registrations that were refused because another account has the username, by client address alone: of one email address
/// there are no more of them than [`REGISTRATIONS`].
pub(crate) const TAKEN_USERNAMES: Limit =
    Limit { name: "username", by_account: u64::MAX, by_address: 30, window: HOUR };
/// Attempts to sign in at accounts into which [`FREE_SIGN_INS`] led in the window before; the count of an account is
/// kept by its trail.
pub(crate) const SIGN_INS: Limit =
    Limit { name: "sign-in", by_account: 100, by_address: 600, window: SignIns::RIGHT_WINDOW };
/// New secrets of authenticator apps.
pub(crate) const TOTP_SECRETS: Limit = Limit { name: "totp", by_account: 20, by_address: 200, window: HOUR };
/// Passkeys that are begun.
pub(crate) const PASSKEYS: Limit = Limit { name: "passkey", by_account: 30, by_address: 300, window: HOUR };
/// Requests for an approval, counted beside the approval itself and by account alone: a service asks for everybody from one
/// address.
pub(crate) const APPROVALS: Limit =
    Limit { name: "approval", by_account: 120, by_address: u64::MAX, window: HOUR };
/// Decisions on approvals, those that are refused included: nobody finds out by trying which code a decision was made with.
pub(crate) const DECISIONS: Limit =
    Limit { name: "decision", by_account: 240, by_address: 2_400, window: HOUR };
/// Refused redemptions that are put on record, by account alone; what is refused stays refused.
pub(crate) const REFUSED_REDEMPTIONS: Limit =
    Limit { name: "refused-redemption", by_account: 20, by_address: u64::MAX, window: HOUR };
/// Changes of a profile.
pub(crate) const PROFILE_CHANGES: Limit =
    Limit { name: "profile", by_account: 60, by_address: 600, window: HOUR };
/// Links to change an address. One account could otherwise have mails sent to addresses of strangers.
pub(crate) const ADDRESS_CHANGES: Limit =
    Limit { name: "address", by_account: 5, by_address: 50, window: HOUR };
/// Sessions ended by their owner, one or all others at a time; counted for the session that asks, so that nobody who stole
/// one keeps the owner from ending it.
pub(crate) const SESSION_DELETIONS: Limit =
    Limit { name: "sessions", by_account: 60, by_address: 600, window: HOUR };

/// Refused administration that is put on record, by account alone; what is refused stays refused.
pub(crate) const RECORDED_REFUSALS: Limit =
    Limit { name: "refused-administration", by_account: 20, by_address: u64::MAX, window: HOUR };

/// Right passwords of one account in a window that are not counted for the client address, so that a sign-in writes no
/// more than it has to.
const FREE_SIGN_INS: u64 = 10;

impl Limit {
    fn number(&self, now: Timestamp) -> i64 {
        now.as_second().div_euclid(self.seconds())
    }

    fn ends(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_second((self.number(now) + 1) * self.seconds()).unwrap_or(now)
    }

    fn seconds(&self) -> i64 {
        i64::try_from(self.window.as_secs()).unwrap_or(i64::MAX)
    }

    fn used_by<'a>(&'a self, who: &'a str, now: Timestamp) -> Use<'a> {
        Use { what: self.name, who, window: self.number(now), ends: self.ends(now) }
    }

    /// Returns what is counted for a network that a client address is in, and how much it may have.
    fn of_network<'a>(&'a self, network: &'a Network, now: Timestamp) -> (Use<'a>, u64) {
        (self.used_by(&network.name, now), self.by_address.saturating_mul(network.share))
    }

    /// Returns the limit as the write of an approval counts it; without an end where nothing is limited.
    pub(crate) fn rate_of_approvals(&self, now: Timestamp, is_limited: bool) -> ApprovalRate {
        let most = if is_limited { self.by_account } else { u64::MAX };
        ApprovalRate { window: self.number(now), ends: self.ends(now), most }
    }

    fn over(&self, now: Timestamp) -> Error {
        until(self.ends(now), now)
    }
}

fn until(end: Timestamp, now: Timestamp) -> Error {
    Error::TooManyAttempts { retry_after: end.duration_since(now).unsigned_abs() }
}

impl Identity {
    /// Counts one more use by an account and by the client address. Fails with [`Error::TooManyAttempts`] where either
    /// has had as many as it may, and never with `RATE_LIMIT=off`.
    pub(crate) async fn limit(
        &self,
        limit: &Limit,
        account: &str,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !self.settings.rate_limit {
            return Ok(());
        }
        // On the heap: two such calls side by side are much for a stack.
        let by_account = Box::pin(self.has_room(limit, account, now));
        let (by_account, by_address) = tokio::join!(by_account, self.limit_address(limit, client, now));
        by_address?;
        if by_account? { Ok(()) } else { Err(limit.over(now)) }
    }

    /// Counts one more use by somebody who has no account yet and by the client address, both in the row of the address:
    /// what they do from elsewhere is counted there. Fails with [`Error::TooManyAttempts`] where either has had as many
    /// as it may.
    pub(crate) async fn limit_newcomer(
        &self,
        limit: &Limit,
        email: &str,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        let networks = self.limited_networks(client);
        let Some((narrowest, wider)) = networks.split_first() else {
            return self.limit(limit, email, client, now).await;
        };
        let (used, most) = limit.of_network(narrowest, now);
        let member = Member { who: email, most: limit.by_account };
        if !Box::pin(self.store.count_use_of_member(used, most, member)).await? {
            // What is over somebody's own limit still counts for the address.
            self.limit_networks(limit, &networks, now).await?;
            return Err(limit.over(now));
        }
        self.limit_networks(limit, wider, now).await
    }

    /// Counts one more use by an account alone. Returns whether there was room for it; fails when the store does.
    pub(crate) async fn has_room(&self, limit: &Limit, account: &str, now: Timestamp) -> Result<bool, Error> {
        Ok(self.store.count_use(limit.used_by(account, now), limit.by_account).await?)
    }

    /// Counts one more use by the client address alone.
    pub(crate) async fn limit_address(
        &self,
        limit: &Limit,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.limit_networks(limit, &self.limited_networks(client), now).await
    }

    /// From the narrowest network on, for the reason that failures have.
    async fn limit_networks(&self, limit: &Limit, networks: &[Network], now: Timestamp) -> Result<(), Error> {
        for network in networks {
            let (used, most) = limit.of_network(network, now);
            if !Box::pin(self.store.count_use(used, most)).await? {
                return Err(limit.over(now));
            }
        }
        Ok(())
    }

    /// Returns [`Error::TooManyAttempts`] if the client address has no use left; counts nothing.
    pub(crate) async fn check_address(
        &self,
        limit: &Limit,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        for network in self.limited_networks(client) {
            let (used, most) = limit.of_network(&network, now);
            if Box::pin(self.store.uses(used)).await? >= most {
                return Err(limit.over(now));
            }
        }
        Ok(())
    }

    /// Ends a loop of right passwords before another one is hashed, by what the trail knows of the account. Fails with
    /// [`Error::TooManyAttempts`]. A device of the owner is let in: whoever has the password but no code must not use up
    /// what the owner needs. Of attempts side by side a few more pass.
    pub(crate) fn check_right_attempts(
        &self,
        found: Option<&Account>,
        known: &SignIns,
        source: &AttemptSource,
        now: Timestamp,
    ) -> Result<(), Error> {
        let password_since = found.map_or(Timestamp::MIN, |account| account.password_changed_at);
        let (right, ends) = known.right_attempts_since(password_since, now);
        let is_over = self.settings.rate_limit && right >= SIGN_INS.by_account;
        if is_over && source.is_stranger() { Err(until(ends, now)) } else { Ok(()) }
    }

    /// Counts a right password for the client address once there were more of the account than anybody types. Fails with
    /// [`Error::TooManyAttempts`]. A wrong password is not counted here: it would make another call for names that have
    /// an account, and time would tell.
    pub(crate) async fn limit_right_attempts(
        &self,
        known: &SignIns,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (right, _) = known.right_attempts(now);
        if !self.settings.rate_limit || right < FREE_SIGN_INS {
            return Ok(());
        }
        self.limit_address(&SIGN_INS, client, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_limit() {
        let page = include_str!("../README.md");
        for (limit, about) in [
            (REGISTRATIONS, "registrations"),
            (TAKEN_USERNAMES, "registrations refused for a taken username"),
            (SIGN_INS, "sign-ins with a right password"),
            (TOTP_SECRETS, "new secrets of authenticator apps"),
            (APPROVALS, "requests for approvals"),
            (DECISIONS, "decisions on approvals"),
            (PROFILE_CHANGES, "changes of a profile"),
            (ADDRESS_CHANGES, "changes of an address"),
            (SESSION_DELETIONS, "deletions of sessions"),
        ] {
            let minutes = limit.window.as_secs() / 60;
            let by_account =
                if limit.by_account == u64::MAX { "none".to_owned() } else { limit.by_account.to_string() };
            let by_address =
                if limit.by_address == u64::MAX { "none".to_owned() } else { limit.by_address.to_string() };
            let row = format!("| {about} | {by_account} | {by_address} | {minutes} |");
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn a_window_ends_where_the_next_one_begins() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!((REGISTRATIONS.ends(at(0)), REGISTRATIONS.ends(at(3_599))), (at(3_600), at(3_600)));
        assert_eq!(REGISTRATIONS.number(at(3_600)), 1);
    }
}
