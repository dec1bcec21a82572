//! Health of brokers and other providers, counted from the outcomes that services and the vault's own requests report.
//! Clients that choose between providers read it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use portcullis_identity::InvalidValue;
use portcullis_platform::{Clock, Entropy};
use portcullis_store::{Outcomes, ProviderMark, Store};
use tracing::Instrument;

use crate::brokers::{BrokerError, Brokers};
use crate::error::Error;

/// How far back outcomes count: longer than the default time between two probes, so that there always are some.
pub(crate) const WINDOW: Duration = Duration::from_mins(15);
/// Consecutive failures after which a provider is degraded.
const DEGRADED_AFTER: u64 = 2;
/// Consecutive failures after which a provider is unhealthy.
const UNHEALTHY_AFTER: u64 = 5;
/// The share of failed calls counts from this many calls on.
const ENOUGH: u64 = 10;
/// Milliseconds of mean response time above which a provider is degraded.
const SLOW: u64 = 2_000;

/// The health of a provider.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
    serde::Deserialize,
)]
#[serde(try_from = "String")]
#[strum(serialize_all = "snake_case")]
pub enum HealthStatus {
    /// Calls to it succeed.
    Healthy,
    /// Some calls fail, or are slow.
    Degraded,
    /// Most calls fail.
    Unhealthy,
}

impl HealthStatus {
    /// Returns the word in records and responses.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl TryFrom<String> for HealthStatus {
    type Error = InvalidValue;

    fn try_from(word: String) -> Result<Self, InvalidValue> {
        word.parse().map_err(|_| InvalidValue::new("must be healthy, degraded or unhealthy"))
    }
}

/// The health of a provider, and what it is derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The provider's name.
    pub provider: String,
    /// The health: that of the mark where there is one, else what is counted.
    pub status: HealthStatus,
    /// When the last call ended; `None` where there was none in the last 15 minutes.
    pub last_check: Option<Timestamp>,
    /// The mean response time in milliseconds, if any is known.
    pub response_time_ms: Option<u64>,
    /// Failed calls since the last successful one.
    pub consecutive_failures: u64,
    /// The administrator's mark, where there is one that has not expired.
    pub mark: Option<ProviderMark>,
}

/// The outcome of a call to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the provider worked.
    pub ok: bool,
    /// How long the provider took to respond.
    pub response_time: Option<Duration>,
}

impl Outcome {
    /// Returns the outcome of a call that a service reports. An error that is the user's or the service's fault counts as a
    /// success, because the provider responded: an expired session, a revoked key, a 4xx status, too many requests.
    pub fn reported(ok: bool, error: Option<&str>, response_time: Option<Duration>) -> Self {
        Self { ok: ok || error.is_some_and(is_user_fault), response_time }
    }
}

fn is_user_fault(error: &str) -> bool {
    const WORDS: [&str; 7] =
        ["expired", "revoked", "blocked", "rejected", "rate_limited", "invalid_request", "user_error"];
    // 408 may be a timeout of either side; mostly it is the provider's, so it counts against it.
    let refused = error.parse::<u16>().is_ok_and(|status| (400..500).contains(&status) && status != 408);
    refused || WORDS.contains(&error)
}

/// The providers and their health.
#[derive(Debug)]
pub struct Providers {
    /// The store of the counters.
    pub store: Store,
    /// The time of outcomes.
    pub clock: Arc<dyn Clock>,
    /// Chooses the shard that an outcome is counted in.
    pub entropy: Arc<dyn Entropy>,
    /// The brokers among them.
    pub brokers: Brokers,
    /// The names of the providers that are no brokers.
    pub others: BTreeSet<String>,
}

impl Providers {
    /// Returns the names of all providers, in order.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> = self.others.iter().map(String::as_str).collect();
        for name in self.brokers.names() {
            names.insert(name);
        }
        names
    }

    /// Fails with "not found" unless there is a provider of this name.
    pub(crate) fn known(&self, name: &str) -> Result<(), Error> {
        if self.names().contains(name) { Ok(()) } else { Err(Error::not_found()) }
    }

    /// Counts one outcome; fails when the provider is unknown or the store does not respond.
    pub async fn record(&self, name: &str, outcome: Outcome) -> Result<(), Error> {
        self.known(name)?;
        let mut random = [0];
        self.entropy.fill(&mut random)?;
        let [random] = random;
        let shard = random % Store::PROVIDER_SHARDS;
        let now = self.clock.now();
        Ok(self.store.count_outcome(name, shard, outcome.ok, outcome.response_time, now).await?)
    }

    /// Returns the health of one provider; fails when it is unknown or the store does not respond.
    pub async fn health(&self, name: &str) -> Result<Health, Error> {
        let (outcomes, mark) = self.outcomes_and_mark(name, self.clock.now() - WINDOW).await?;
        Ok(judge(name, &outcomes, mark))
    }

    /// Returns the outcomes of one provider from then on, and its mark if there is one; fails when it is unknown or the store
    /// does not respond.
    pub(crate) async fn outcomes_and_mark(
        &self,
        name: &str,
        since: Timestamp,
    ) -> Result<(Vec<Outcomes>, Option<ProviderMark>), Error> {
        self.known(name)?;
        let now = self.clock.now();
        let counters = (0..Store::PROVIDER_SHARDS).map(|shard| self.store.outcomes(name, shard, since));
        let (outcomes, mark) = tokio::try_join!(try_join_all(counters), self.store.provider_mark(name))?;
        Ok((outcomes.into_iter().flatten().collect(), mark.filter(|mark| mark.expires_at > now)))
    }

    /// Returns the health of all providers, by name; fails when the store does not respond.
    pub async fn all(&self) -> Result<Vec<Health>, Error> {
        try_join_all(self.names().into_iter().map(|name| self.health(name))).await
    }

    /// Returns the health of the primary and its fallbacks, the healthiest first and equals in the order of the request;
    /// fails when one is unknown.
    pub async fn chain(&self, primary: &str, fallbacks: &[&str]) -> Result<Vec<Health>, Error> {
        let mut names: Vec<&str> = Vec::new();
        for name in std::iter::once(&primary).chain(fallbacks) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let mut chain = try_join_all(names.into_iter().map(|name| self.health(name))).await?;
        // The sort is stable, so the primary stays first among equals.
        chain.sort_by_key(|health| health.status);
        Ok(chain)
    }

    /// Probes every broker and counts the outcomes. A broker that does not respond is an outcome and no error.
    pub async fn probe_all(&self) {
        let probes = self.brokers.all().map(async |broker| {
            // The counters have the outcome already.
            let _ = self.timed(broker.name(), broker.probe(self.brokers.http.as_ref())).await;
        });
        join_all(probes).await;
    }

    /// Returns the result of a call to a broker, after its outcome is counted. A failure of the store is logged and does not
    /// fail the request.
    pub(crate) async fn timed<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, BrokerError>>,
    ) -> Result<T, BrokerError> {
        let began = self.clock.now();
        // Whatever is logged about the call names the broker.
        let result = call.instrument(tracing::error_span!("broker", name)).await;
        let taken = self.clock.now().duration_since(began).unsigned_abs();
        let ok = !result.as_ref().is_err_and(|error| error.is_broker_fault());
        if let Err(error) = self.record(name, Outcome { ok, response_time: Some(taken) }).await {
            tracing::warn!(broker = name, %error, "the outcome of a call to a broker was not counted");
        }
        result
    }
}

/// Returns the health that these counters and this mark amount to.
pub(crate) fn judge(name: &str, outcomes: &[Outcomes], mark: Option<ProviderMark>) -> Health {
    let sum = |of: fn(&Outcomes) -> u64| outcomes.iter().map(of).fold(0, u64::saturating_add);
    let (ok, failed) = (sum(|counter| counter.ok), sum(|counter| counter.failed));
    let last_ok = outcomes.iter().filter_map(|counter| counter.last_ok_at).max();
    let failures = outcomes.iter().flat_map(|counter| &counter.failed_at);
    let since = failures.filter(|at| last_ok.is_none_or(|ok| **at > ok)).count();
    let consecutive_failures = u64::try_from(since).unwrap_or(u64::MAX);
    let response_time_ms = sum(|counter| counter.milliseconds).checked_div(sum(|counter| counter.timed));

    let (all, is_slow) = (ok + failed, response_time_ms.is_some_and(|mean| mean > SLOW));
    let mostly = all >= ENOUGH && failed * 2 >= all;
    let often = all >= ENOUGH && failed * 10 >= all;
    let counted = if consecutive_failures >= UNHEALTHY_AFTER || mostly {
        HealthStatus::Unhealthy
    } else if consecutive_failures >= DEGRADED_AFTER || often || is_slow {
        HealthStatus::Degraded
    } else {
        HealthStatus::Healthy
    };
    Health {
        provider: name.to_owned(),
        status: mark.as_ref().and_then(|mark| mark.status.parse().ok()).unwrap_or(counted),
        last_check: outcomes.iter().filter_map(|counter| counter.last_at).max(),
        response_time_ms,
        consecutive_failures,
        mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn counter(ok: u64, last_ok: Option<i64>, failed: &[i64]) -> Outcomes {
        Outcomes {
            ok,
            failed: u64::try_from(failed.len()).unwrap(),
            last_ok_at: last_ok.map(at),
            last_at: None,
            failed_at: failed.iter().map(|second| at(*second)).collect(),
            ..Outcomes::default()
        }
    }

    fn status(outcomes: &[Outcomes]) -> (HealthStatus, u64) {
        let health = judge("kite", outcomes, None);
        (health.status, health.consecutive_failures)
    }

    #[test]
    fn failures_in_a_row_are_counted_over_all_counters() {
        use HealthStatus::{Degraded, Healthy, Unhealthy};
        assert_eq!(status(&[]), (Healthy, 0));
        assert_eq!(status(&[counter(1, Some(5), &[]), counter(0, None, &[1, 2, 3, 4])]), (Healthy, 0));
        assert_eq!(status(&[counter(1, Some(2), &[]), counter(0, None, &[1, 3, 4])]), (Degraded, 2));
        assert_eq!(status(&[counter(0, None, &[1, 2, 3]), counter(0, None, &[4, 5])]), (Unhealthy, 5));
    }

    #[test]
    fn shares_count_once_there_are_enough_calls() {
        use HealthStatus::{Degraded, Healthy, Unhealthy};
        assert_eq!(status(&[counter(2, Some(9), &[1, 2])]).0, Healthy);
        assert_eq!(status(&[counter(18, Some(9), &[1, 2])]).0, Degraded);
        assert_eq!(status(&[counter(5, Some(9), &[1, 2, 3, 4, 5])]).0, Unhealthy);
        let slow = Outcomes { milliseconds: 9_000, timed: 3, ..counter(3, Some(9), &[]) };
        assert_eq!(status(&[slow]).0, Degraded);
    }

    #[test]
    fn a_mark_stands_above_what_is_counted() {
        let mark = ProviderMark { status: "unhealthy".to_owned(), reason: None, expires_at: at(0) };
        assert_eq!(judge("kite", &[counter(9, Some(1), &[])], Some(mark)).status, HealthStatus::Unhealthy);
    }

    #[test]
    fn what_is_the_users_fault_says_that_the_provider_answers() {
        for error in ["expired", "403", "429", "rate_limited"] {
            assert!(Outcome::reported(false, Some(error), None).ok, "{error}");
        }
        for error in [Some("timeout"), Some("500"), Some("408"), None] {
            assert!(!Outcome::reported(false, error, None).ok, "{error:?}");
        }
    }
}
