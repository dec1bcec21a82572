//! The last hour of calls to the providers, for people who look at it: spans of five minutes.

use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use portcullis_store::Outcomes;

use crate::error::Error;
use crate::providers::{Health, Providers, WINDOW, judge};

/// The number of spans, together the hour for which outcomes are kept.
const SPANS: u32 = 12;
/// The length of a span in seconds.
const SPAN: i64 = 300;

/// The outcomes of the calls that ended in a span of five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderSpan {
    /// When it began.
    pub from: Timestamp,
    /// Calls that were answered as they should be.
    pub ok: u64,
    /// Calls that failed through the provider's fault.
    pub failed: u64,
}

impl Providers {
    /// Returns the health of all providers by name, each with the twelve spans up to now, oldest first; fails when the store
    /// does not respond.
    pub async fn all_with_history(&self) -> Result<Vec<(Health, Vec<ProviderSpan>)>, Error> {
        try_join_all(self.names().into_iter().map(|name| self.health_with_history(name))).await
    }

    async fn health_with_history(&self, name: &str) -> Result<(Health, Vec<ProviderSpan>), Error> {
        let now = self.clock.now();
        let starts = starts_of_spans(now);
        let since = starts.first().copied().unwrap_or_default();
        let (outcomes, mark) = self.outcomes_and_mark(name, since).await?;
        let spans = starts.into_iter().map(|from| span(from, &outcomes)).collect();
        let counts = |counter: &Outcomes| counter.last_at.is_none_or(|at| at >= now - WINDOW);
        let counting: Vec<Outcomes> = outcomes.into_iter().filter(counts).collect();
        Ok((judge(name, &counting, mark), spans))
    }
}

/// Returns when the last twelve spans began, oldest first: full five minutes of the clock, so that a span keeps its calls from
/// one look to the next.
fn starts_of_spans(now: Timestamp) -> Vec<Timestamp> {
    let current = now.as_second().div_euclid(SPAN) * SPAN;
    let second = |back: u32| Timestamp::from_second(current - i64::from(back) * SPAN);
    (0..SPANS).rev().filter_map(|back| second(back).ok()).collect()
}

fn span(from: Timestamp, outcomes: &[Outcomes]) -> ProviderSpan {
    let until = from + Duration::from_secs(SPAN.unsigned_abs());
    let within = |counter: &&Outcomes| counter.last_at.is_some_and(|at| at >= from && at < until);
    let sum = |of: fn(&Outcomes) -> u64| outcomes.iter().filter(within).map(of).fold(0, u64::saturating_add);
    ProviderSpan { from, ok: sum(|counter| counter.ok), failed: sum(|counter| counter.failed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_200 + second).unwrap()
    }

    fn minute(last_at: i64, ok: u64, failed: u64) -> Outcomes {
        Outcomes { ok, failed, last_at: Some(at(last_at)), ..Outcomes::default() }
    }

    #[test]
    fn an_hour_is_twelve_spans_up_to_now() {
        let starts = starts_of_spans(at(299));
        assert_eq!(starts.len(), 12);
        assert_eq!((starts[0], starts[11]), (at(-3_300), at(0)));
        assert_eq!(starts_of_spans(at(300))[11], at(300));
    }

    #[test]
    fn each_call_counts_in_the_span_in_which_it_ended() {
        let outcomes = [minute(-1, 4, 1), minute(0, 2, 0), minute(240, 0, 3), minute(300, 9, 9)];
        assert_eq!(span(at(0), &outcomes), ProviderSpan { from: at(0), ok: 2, failed: 3 });
        assert_eq!(span(at(-300), &outcomes), ProviderSpan { from: at(-300), ok: 4, failed: 1 });
        assert_eq!(span(at(600), &outcomes), ProviderSpan { from: at(600), ok: 0, failed: 0 });
    }
}
