//! Hours of some days of the week at a fixed offset from UTC.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::approval::{ApprovalMistake, taken};
use crate::strict_value::StrictValue;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The greatest offset from UTC that a place has, in minutes.
const MOST_OFFSET: u16 = 14 * 60;

/// The days of the week, in the order of their bits.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const EVERY_DAY: u8 = 0b111_1111;

/// What 1970-01-01 was: a Thursday.
const FIRST_DAY: u64 = 3;

/// From one time of the day to another, over midnight where that is earlier, on the days on which they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hours {
    /// In minutes of the day.
    from: u16,
    to: u16,
    /// In minutes east of Greenwich.
    utc_offset: i16,
    /// A bit for each day, Monday the lowest.
    days: u8,
}

impl Hours {
    pub(super) fn checked(members: &[(String, StrictValue)]) -> Result<Self, ApprovalMistake> {
        let (mut from, mut to, mut utc_offset, mut days) = (None, None, None, Some(EVERY_DAY));
        for (name, value) in members {
            let is_good = match (name.as_str(), value) {
                ("from", StrictValue::Text(text)) => taken(&mut from, time(text).filter(|time| *time < DAY)),
                ("to", StrictValue::Text(text)) => taken(&mut to, time(text)),
                ("utc_offset", StrictValue::Text(text)) => taken(&mut utc_offset, offset(text)),
                ("days", StrictValue::List(names)) => taken(&mut days, bits(names)),
                _ => false,
            };
            if !is_good {
                return Err(ApprovalMistake::Member(name.clone()));
            }
        }
        match (from, to, utc_offset, days) {
            (Some(from), Some(to), Some(utc_offset), Some(days)) if from != to => {
                Ok(Self { from, to, utc_offset, days })
            }
            _ => Err(ApprovalMistake::Hours),
        }
    }

    /// Returns whether a moment, in Unix seconds, is within the hours.
    pub(super) fn contain(self, now: u64) -> bool {
        let local = (now / 60).saturating_add_signed(self.utc_offset.into());
        let (minute, day) = (local % u64::from(DAY), local / u64::from(DAY));
        let is_on = |day: u64| (self.days >> ((day + FIRST_DAY) % 7)) & 1 == 1;
        let (has_begun, is_not_over) = (minute >= self.from.into(), minute < self.to.into());
        if self.from < self.to {
            has_begun && is_not_over && is_on(day)
        } else {
            // After midnight they are those of the day before, which is six days on.
            (has_begun && is_on(day)) || (is_not_over && is_on(day + 6))
        }
    }
}

/// Reads `hh:mm`, up to 24:00.
fn time(text: &str) -> Option<u16> {
    let [a, b, b':', c, d] = *text.as_bytes() else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let (hours, minutes) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
    Some(hours * 60 + minutes).filter(|time| minutes < 60 && *time <= DAY)
}

/// Reads `+hh:mm` or `-hh:mm`.
fn offset(text: &str) -> Option<i16> {
    let (sign, rest) = text.split_at_checked(1)?;
    let minutes = time(rest).filter(|minutes| *minutes <= MOST_OFFSET)?.cast_signed();
    match sign {
        "+" => Some(minutes),
        "-" => Some(-minutes),
        _ => None,
    }
}

fn bits(days: &[StrictValue]) -> Option<u8> {
    let mut bits = 0;
    for day in days {
        let StrictValue::Text(day) = day else { return None };
        let bit = 1 << DAYS.iter().position(|known| known == day)?;
        if bits & bit != 0 {
            return None;
        }
        bits |= bit;
    }
    (bits != 0).then_some(bits)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minutes: u16| alloc::format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let sign = if self.utc_offset < 0 { '-' } else { '+' };
        let offset = clock(self.utc_offset.unsigned_abs());
        write!(f, "{}–{} {sign}{offset}", clock(self.from), clock(self.to))?;
        if self.days == EVERY_DAY {
            return Ok(());
        }
        let days = DAYS.iter().enumerate().filter(|(day, _)| (self.days >> day) & 1 == 1);
        let names: Vec<&str> = days.map(|(_, name)| *name).collect();
        write!(f, " {}", names.join(" "))
    }
}
