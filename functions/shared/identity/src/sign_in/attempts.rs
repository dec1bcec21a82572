//! Throttling of failed attempts: exponential backoff by account and by purpose, and a rate limit by client address.
//!
//! The first failures are free, each further one doubles the wait before the next attempt is checked. An attempt that
//! is throttled gets [`Error::TooManyAttempts`] with the time to retry after.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_store::{AccountId, Throttled, Wait};

use crate::error::Error;
use crate::sha256::sha256;
use crate::{ClientContext, Identity};

/// Backoff after wrong passwords of one source under one name, whether or not the name has an account.
pub(crate) const PASSWORD_BACKOFF: BackoffPolicy =
    BackoffPolicy { free: 5, first: Duration::from_secs(1), longest: Duration::from_mins(15) };

/// Failures one client address may have in a window: enough for an office behind one address.
const MOST_FAILURES: u64 = 100;
const WINDOW: Duration = Duration::from_mins(15);

/// When attempts at a kind of secret are throttled: free failures first, then exponential backoff up to a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackoffPolicy {
    /// Failures before the backoff begins: people mistype.
    pub(crate) free: u64,
    /// The wait after the first failure that is not free; it doubles with each further one.
    pub(crate) first: Duration,
    /// The limit of the backoff.
    pub(crate) longest: Duration,
}

impl BackoffPolicy {
    /// Returns the wait before the next attempt after this many failures in a row; `None` while failures are free.
    pub(crate) fn wait_after(self, failures: u64) -> Option<Duration> {
        let doublings = failures.checked_sub(self.free)?;
        let factor = u32::try_from(doublings).ok().and_then(|doublings| 1_u32.checked_shl(doublings));
        let wait = factor.and_then(|factor| self.first.checked_mul(factor));
        Some(wait.unwrap_or(self.longest).min(self.longest))
    }

    /// Returns every step of the backoff, from the first wait to the longest, in ascending order.
    pub(crate) fn waits(self) -> Vec<Wait> {
        let mut waits = Vec::new();
        for after in self.free.. {
            let wait = self.wait_after(after).unwrap_or(self.longest);
            waits.push(Wait { after, wait });
            if wait >= self.longest {
                break;
            }
        }
        waits
    }
}

impl Identity {
    /// Counts an attempt *before* it is checked. Returns `Throttled` where the backoff is not over.
    ///
    /// The order decides the race: the store raises the count on the condition that the wait is over, in one write.
    /// Were the secret compared first and the failure counted afterwards, attempts sent in parallel would all be
    /// compared before the first of them counts.
    pub(crate) async fn reserve(
        &self,
        name: &str,
        policy: BackoffPolicy,
        now: Timestamp,
    ) -> Result<Result<(), Throttled>, Error> {
        let mut attempt = [0; 16];
        self.entropy.fill(&mut attempt)?;
        let waits = policy.waits();
        // On the heap: several such calls side by side are much for a stack.
        Ok(Box::pin(self.store.reserve_attempt(name, &waits, attempt, now)).await?)
    }

    /// Withdraws an attempt that was counted but could not be checked, so that an internal error does not count as a
    /// failed attempt. Where the store fails here too, the owner has one attempt less; that is logged.
    pub(crate) async fn withdraw(&self, name: &str) {
        if let Err(error) = self.store.withdraw_attempt(name).await {
            tracing::warn!(%error, "a guess was not taken back");
        }
    }

    /// Returns [`Error::TooManyAttempts`] if the client address had too many failures in this window. Passes without a
    /// call where the address is unknown or the rate limit is switched off.
    pub(crate) async fn check_rate(&self, client: &ClientContext, now: Timestamp) -> Result<(), Error> {
        let Some(address) = self.limited_address(client) else { return Ok(()) };
        let failures = Box::pin(self.store.failures_of(&address, window(now))).await?;
        if failures < MOST_FAILURES { Ok(()) } else { Err(too_many_from_there(now)) }
    }

    /// Counts a failure of the client address. Returns [`Error::TooManyAttempts`] once the address is over the limit,
    /// in place of any other error, so that a throttled client learns nothing about the attempt.
    pub(crate) async fn count_failure(&self, client: &ClientContext, now: Timestamp) -> Result<(), Error> {
        let Some(address) = self.limited_address(client) else { return Ok(()) };
        let number = window(now);
        let counted = self.store.count_failure(&address, number, MOST_FAILURES, now + WINDOW).await?;
        if counted { Ok(()) } else { Err(too_many_from_there(now)) }
    }

    /// Returns what a client address is counted under; `None` where it is unknown or the rate limit is switched off.
    pub(crate) fn limited_address(&self, client: &ClientContext) -> Option<String> {
        client.ip.as_deref().filter(|_| self.settings.rate_limit).map(network)
    }
}

/// Returns the key a client address is counted under: the /64 network of an IPv6 address, because a customer has at
/// least that many to choose from; an IPv4 address as it is.
fn network(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(six) => format!("{:x}", six.to_bits() >> 64),
        Err(_) => address.to_owned(),
    }
}

fn window(now: Timestamp) -> i64 {
    let length = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    now.as_second().div_euclid(length)
}

/// Returns the error for a throttled attempt, with the time to retry after.
pub(crate) fn throttled(refusal: Throttled, now: Timestamp) -> Error {
    Error::TooManyAttempts { retry_after: refusal.until.duration_since(now).unsigned_abs() }
}

fn too_many_from_there(now: Timestamp) -> Error {
    let length = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    let left = length - now.as_second().rem_euclid(length);
    Error::TooManyAttempts { retry_after: Duration::from_secs(u64::try_from(left).unwrap_or(1)) }
}

/// Returns the id that stands in for an account that does not exist, derived from the name: the same calls are made
/// with it as for a real account, so that response times do not tell which names have accounts.
pub(crate) fn placeholder_account(name: &str) -> Result<AccountId, Error> {
    let number = sha256(name).first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    format!("usr_{number:032x}").parse().map_err(|_| Error::Internal("nobody has no id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_the_last_free_failure_on_and_ends_growing() {
        let seconds = |failures| PASSWORD_BACKOFF.wait_after(failures).map(|wait| wait.as_secs());
        assert_eq!(
            [0, 4, 5, 6, 7, 14, 15].map(seconds),
            [None, None, Some(1), Some(2), Some(4), Some(512), Some(900)]
        );
        assert_eq!([36, 37, 69, u64::MAX].map(seconds), [Some(900); 4]);
    }

    #[test]
    fn the_store_is_told_every_wait_once() {
        let waits = PASSWORD_BACKOFF.waits();
        assert_eq!(waits.len(), 11);
        assert_eq!(waits[0], Wait { after: 5, wait: Duration::from_secs(1) });
        assert_eq!(waits[10], Wait { after: 15, wait: Duration::from_mins(15) });
    }

    #[test]
    fn one_customer_is_one_network() {
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn a_placeholder_account_is_the_same_for_a_name_and_another_for_another() {
        assert_eq!(
            placeholder_account("a@example.com").unwrap(),
            placeholder_account("a@example.com").unwrap()
        );
        assert_ne!(
            placeholder_account("a@example.com").unwrap(),
            placeholder_account("b@example.com").unwrap()
        );
    }
}
