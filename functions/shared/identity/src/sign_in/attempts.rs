//! Throttling of failed attempts: exponential backoff by account and by purpose, and a rate limit by client address that
//! known devices of the account are exempt from.
//!
//! The first failures are free, each further one doubles the wait before the next attempt is checked. An attempt that
//! is throttled gets [`Error::TooManyAttempts`] with the time to retry after.

use std::net::Ipv6Addr;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use portcullis_store::{AccountId, AttemptSource, Throttled, Wait};

use crate::error::Error;
use crate::sha256::sha256;
use crate::{ClientContext, Identity};

/// Backoff after wrong passwords of one source under one name, whether or not the name has an account.
pub(crate) const PASSWORD_BACKOFF: BackoffPolicy =
    BackoffPolicy { free: 5, first: Duration::from_secs(1), longest: Duration::from_mins(15) };

/// Failures one client address may have in a window: enough for an office behind one address.
const MOST_FAILURES: u64 = 100;
/// The networks of an IPv6 address that are counted beside each other, from the narrowest, and how many times what one address
/// may do each may do.
/// A customer has a /64 at least, often a /56 and sometimes a /48, and could use every address of it. A wider network may
/// be several customers', so it may fail more often than one of them and less often than all of its parts.
const IPV6_NETWORKS: [(u32, u64); 3] = [(64, 1), (56, 3), (48, 10)];
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

    /// Returns whether the client address, and each network around it, has room for another failure in this window; one
    /// that has none is refused unless it turns out to be a known device of the account, whose own backoff goes on. True
    /// without a call where the address is unknown or the rate limit is switched off.
    pub(crate) async fn has_room_for_failure(
        &self,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let networks = self.limited_networks(client);
        let counts = networks.iter().map(|network| self.store.failures_of(&network.name, window(now)));
        let counts = Box::pin(try_join_all(counts)).await?;
        Ok(counts.iter().zip(&networks).all(|(failures, network)| *failures < MOST_FAILURES * network.share))
    }

    /// Counts a failure of the client address. Returns [`Error::TooManyAttempts`] once the address is over the limit,
    /// in place of any other error, so that a throttled client learns nothing about the attempt.
    ///
    /// A wider network is counted only after the narrower one had room. Were they counted at once, a burst from one
    /// customer, of which that customer's own limit lets a hundred through, would use up what the neighbours have.
    pub(crate) async fn count_failure(
        &self,
        source: &AttemptSource,
        client: &ClientContext,
        now: Timestamp,
    ) -> Result<(), Error> {
        // A known device has its own backoff.
        if !source.is_stranger() {
            return Ok(());
        }
        let number = window(now);
        for Network { name, share } in self.limited_networks(client) {
            if !self.store.count_failure(&name, number, MOST_FAILURES * share, now + WINDOW).await? {
                return Err(too_many_from_there(now));
            }
        }
        Ok(())
    }

    /// Returns what a client address is counted under; nothing where it is unknown or the rate limit is switched off.
    pub(crate) fn limited_networks(&self, client: &ClientContext) -> Vec<Network> {
        client.ip.as_deref().filter(|_| self.settings.rate_limit).map(networks).unwrap_or_default()
    }
}

/// Addresses that are counted together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) name: String,
    /// How many times what one address may do it may do.
    pub(crate) share: u64,
}

/// Returns what a client address is counted under: an IPv4 address as it is, an IPv6 address as each network around it.
fn networks(address: &str) -> Vec<Network> {
    let Ok(six) = address.parse::<Ipv6Addr>() else {
        return vec![Network { name: address.to_owned(), share: 1 }];
    };
    let network = |(bits, share): (u32, u64)| {
        let host = u128::MAX.checked_shr(bits).unwrap_or(0);
        Network { name: format!("{}/{bits}", Ipv6Addr::from_bits(six.to_bits() & !host)), share }
    };
    IPV6_NETWORKS.map(network).into()
}

fn window(now: Timestamp) -> i64 {
    let length = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    now.as_second().div_euclid(length)
}

/// Returns the error for a throttled attempt, with the time to retry after.
pub(crate) fn throttled(refusal: Throttled, now: Timestamp) -> Error {
    Error::TooManyAttempts { retry_after: refusal.until.duration_since(now).unsigned_abs() }
}

pub(crate) fn too_many_from_there(now: Timestamp) -> Error {
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
        let names = |address| networks(address).into_iter().map(|network| network.name).collect::<Vec<_>>();
        assert_eq!(names("192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(
            names("2001:db8:1:203:4:5:6:7"),
            ["2001:db8:1:203::/64", "2001:db8:1:200::/56", "2001:db8:1::/48"]
        );
        assert_eq!(names("2001:db8:1:203::1"), names("2001:db8:1:203:ffff::9"));
        let shares = IPV6_NETWORKS.map(|(_, share)| share);
        assert!(shares.is_sorted() && networks("192.0.2.7")[0].share == shares[0], "{shares:?}");
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
