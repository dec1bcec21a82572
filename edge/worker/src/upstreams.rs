//! Which upstream is tried first: one that failed a moment ago comes last.

use crate::Millis;

/// How long an upstream that failed is tried last.
const DISTRUST: Millis = 10_000;

/// The upstreams that failed, and when.
#[derive(Debug, Default)]
pub struct Upstreams {
    /// A handful at most: a table has few upstreams, and fewer fail.
    failed: Vec<(String, Millis)>,
}

impl Upstreams {
    /// Returns the origins in the order in which to try them: their own, but those that failed lately last.
    pub fn in_order(&self, mut origins: Vec<String>, now: Millis) -> Vec<String> {
        if !self.failed.is_empty() {
            let is_distrusted = |origin: &String| {
                self.failed.iter().any(|(failed, at)| failed == origin && now.saturating_sub(*at) <= DISTRUST)
            };
            // The sort is stable: among equals the table decides.
            origins.sort_by_key(is_distrusted);
        }
        origins
    }

    /// An upstream failed.
    pub fn failed(&mut self, origin: &str, now: Millis) {
        self.responded(origin);
        self.failed.push((origin.to_owned(), now));
    }

    /// An upstream responded.
    pub fn responded(&mut self, origin: &str) {
        self.failed.retain(|(failed, _)| failed != origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_upstream_is_tried_last_for_ten_seconds() {
        let mut upstreams = Upstreams::default();
        let order =
            |upstreams: &Upstreams, now| upstreams.in_order(["a", "b", "c"].map(String::from).to_vec(), now);
        assert_eq!(order(&upstreams, 0), ["a", "b", "c"]);
        upstreams.failed("a", 0);
        assert_eq!(order(&upstreams, 10_000), ["b", "c", "a"]);
        assert_eq!(order(&upstreams, 10_001), ["a", "b", "c"]);
        upstreams.failed("b", 10_001);
        upstreams.failed("c", 10_001);
        assert_eq!(order(&upstreams, 10_002), ["a", "b", "c"]);
        upstreams.responded("b");
        assert_eq!(order(&upstreams, 10_002), ["a", "b", "c"]);
        upstreams.failed("a", 10_002);
        assert_eq!(order(&upstreams, 10_003), ["b", "a", "c"]);
    }
}
