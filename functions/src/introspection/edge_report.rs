//! What an isolate of the edge says went wrong there, counted where an alarm sees it.

use axum::http::HeaderMap;

/// The header that comes with a request for revocations.
const HEADER: &str = "x-edge-report";
/// A report is of one minute of one isolate: whatever says more is wrong.
const MOST: u32 = 100_000;

/// How often each kind of failure happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EdgeReport {
    /// The issuer's keys could not be fetched.
    keys: u32,
    /// A page of revocations could not be fetched.
    feed: u32,
    /// An API key could not be looked up.
    lookups: u32,
    /// An upstream could not be reached, was late, or said that its service is not there.
    upstreams: u32,
    /// A request or a WebSocket could not be decided on: 503, or 1013.
    undecided: u32,
    /// The edge itself failed: 500.
    faults: u32,
}

impl EdgeReport {
    /// Reads the header. What is no count of a known kind is left out: the page it comes with matters more.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut report = Self::default();
        let text = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        for (name, count) in text.split(',').filter_map(|pair| pair.trim().split_once('=')) {
            let kind = match name {
                "keys" => &mut report.keys,
                "feed" => &mut report.feed,
                "lookups" => &mut report.lookups,
                "upstreams" => &mut report.upstreams,
                "undecided" => &mut report.undecided,
                "faults" => &mut report.faults,
                _ => continue,
            };
            *kind = count.parse::<u32>().unwrap_or_default().min(MOST);
        }
        report
    }

    /// Adds it to the metric `EdgeFailures`; the line says which kinds there are.
    pub(super) fn count(&self) {
        let Self { keys, feed, lookups, upstreams, undecided, faults } = *self;
        let all = [keys, feed, lookups, upstreams, undecided, faults];
        let total: f64 = all.into_iter().map(f64::from).sum();
        if total > 0.0 {
            tracing::warn!(
                EdgeFailures = total,
                keys,
                feed,
                lookups,
                upstreams,
                undecided,
                faults,
                "the edge reports failures"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> EdgeReport {
        EdgeReport::of(&HeaderMap::from_iter([(HEADER.parse().unwrap(), text.parse().unwrap())]))
    }

    #[test]
    fn a_report_is_counted_by_kind_and_what_is_none_is_left_out() {
        let report = EdgeReport { keys: 3, upstreams: 12, ..EdgeReport::default() };
        assert_eq!(read("keys=3,upstreams=12"), report);
        assert_eq!(read("upstreams=12, keys=3, moons=4, feed=-1, lookups, =, faults=x"), report);
        assert_eq!(read(""), EdgeReport::default());
        assert_eq!(EdgeReport::of(&HeaderMap::new()), EdgeReport::default());
        assert_eq!(read("feed=4000000000").feed, MOST);
    }
}
