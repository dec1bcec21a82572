//! Times as people write them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Zoned};
use portcullis_platform::{Clock, SystemClock};

/// Returns the time that is meant; fails with the forms that are understood.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    meant(text.trim(), SystemClock.now()).ok_or_else(|| {
        "is no time: write 2026-11-28, 2026-11-28T09:30:00Z, now, today, yesterday, tomorrow, -7d or +90d"
            .to_owned()
    })
}

/// Returns the time that is meant at this moment. Days begin at midnight UTC.
fn meant(text: &str, now: Timestamp) -> Option<Timestamp> {
    let now = now.to_zoned(TimeZone::UTC);
    let day = |days: i64| now.checked_add(days.days()).and_then(|day| day.start_of_day());
    let day = match text {
        "now" => Ok(now.clone()),
        "today" => day(0),
        "yesterday" => day(-1),
        "tomorrow" => day(1),
        _ => return text.parse().ok().or_else(|| date(text)).or_else(|| distance(text, &now)),
    };
    day.ok().map(|day| day.timestamp())
}

fn date(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp())
}

/// Returns the time this far away. Without a sign nobody knows which way.
fn distance(text: &str, now: &Zoned) -> Option<Timestamp> {
    if !text.starts_with(['-', '+']) && !text.ends_with("ago") {
        return None;
    }
    let span: Span = text.parse().ok()?;
    now.checked_add(span).ok().map(|then| then.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-28T09:30:15Z".parse().unwrap();
        for (written, time) in [
            ("2026-11-28", "2026-11-28T00:00:00Z"),
            ("2026-11-28T09:00:00+05:30", "2026-11-28T03:30:00Z"),
            ("now", "2026-11-28T09:30:15Z"),
            ("today", "2026-11-28T00:00:00Z"),
            ("yesterday", "2026-11-27T00:00:00Z"),
            ("tomorrow", "2026-11-29T00:00:00Z"),
            ("-7d", "2026-11-21T09:30:15Z"),
            ("-90m", "2026-11-28T08:00:15Z"),
            ("+90d", "2027-02-26T09:30:15Z"),
            ("2 weeks ago", "2026-11-14T09:30:15Z"),
        ] {
            assert_eq!(meant(written, now).map(|at| at.to_string()).as_deref(), Some(time), "{written}");
        }
        let long = "9".repeat(1_000_000);
        for nonsense in ["", "7d", "-", "soon", "2026-13-01", "-7x", "-9999999d", long.as_str()] {
            assert_eq!(meant(nonsense, now), None, "{}", nonsense.len());
        }
    }
}
