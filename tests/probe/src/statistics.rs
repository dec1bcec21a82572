//! What a few measured differences say, without an assumption about their distribution.

use serde::Serialize;

/// The middle of paired differences, with an interval that holds the true middle with this confidence (the sign test,
/// turned around: order statistics and binomial coefficients).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Middle {
    /// The median of the differences.
    pub median: f64,
    /// The lower end of the interval.
    pub lower: f64,
    /// The upper end of the interval.
    pub upper: f64,
    /// The probability that the interval holds the true median, between 0 and 1.
    pub confidence: f64,
    /// How many differences there were.
    pub pairs: usize,
}

/// An interval is taken as wide as this needs.
const WANTED: f64 = 0.95;
/// More are not judged: the probability of one end would be no number of 64 bits any more.
const MOST: usize = 1000;

impl Middle {
    /// Returns the middle of these differences; `None` for fewer than six, which bear no interval of 95 %, for more than
    /// [`MOST`], and for what is no number.
    pub fn of(differences: &[f64]) -> Option<Self> {
        let mut sorted = differences.to_vec();
        if sorted.len() > MOST || sorted.iter().any(|one| !one.is_finite()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let pairs = sorted.len();
        let (cut, confidence) = cut(pairs)?;
        let at = |index: usize| sorted.get(index).copied();
        let median = f64::midpoint(at((pairs - 1) / 2)?, at(pairs / 2)?);
        Some(Self { median, lower: at(cut)?, upper: at(pairs - 1 - cut)?, confidence, pairs })
    }
}

/// Returns how many of so many sorted values may be left out at each end, and the confidence of what remains.
fn cut(pairs: usize) -> Option<(usize, f64)> {
    let mut term = 0.5_f64.powi(i32::try_from(pairs).ok()?);
    let (mut below, mut found) = (0.0, None);
    for cut in 0..pairs.div_ceil(2) {
        // Fewer than `cut + 1` of the values lie on one side of the median with this probability.
        below += term;
        let confidence = 1.0 - 2.0 * below;
        if confidence < WANTED {
            break;
        }
        found = Some((cut, confidence));
        let (done, rest) = (f64::from(u32::try_from(cut).ok()?), f64::from(u32::try_from(pairs - cut).ok()?));
        term *= rest / (done + 1.0);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Of the sign test: n, the values left out at each end, and the confidence.
        for (pairs, left_out, confidence) in
            [(6, 0, 0.9688), (10, 1, 0.9785), (15, 3, 0.9648), (20, 5, 0.9586)]
        {
            let (cut, sure) = cut(pairs).unwrap();
            assert_eq!(cut, left_out, "{pairs}");
            assert!((sure - confidence).abs() < 0.0001, "{pairs}: {sure}");
        }
        assert_eq!(cut(5), None);
        assert_eq!(cut(0), None);
    }

    #[test]
    fn one_that_lies_far_off_moves_nothing() {
        let mut differences: Vec<f64> = (0..15).map(f64::from).collect();
        let middle = Middle::of(&differences).unwrap();
        assert_eq!((middle.median, middle.lower, middle.upper), (7.0, 3.0, 11.0));
        differences[14] = 1e9;
        assert_eq!(Middle::of(&differences).unwrap(), middle);
        differences[14] = f64::NAN;
        assert_eq!(Middle::of(&differences), None);
    }

    #[test]
    fn of_a_million_differences_nothing_is_claimed() {
        let many: Vec<f64> = (0..1_000_000).map(f64::from).collect();
        assert_eq!(Middle::of(&many), None);
        assert!(Middle::of(&many[..MOST]).is_some_and(|middle| middle.confidence > 0.95));
    }
}
