//! A thousand logouts a second for a quarter of an hour, as one busy isolate sees them.

use portcullis_verifier::policy::Grant;
use portcullis_verifier::revocation::{Span, key, newest_from};

use super::*;

const START: Millis = 1_760_000_000_000;
const A_SECOND: u64 = 1100;
const SECONDS: u64 = 1000;
/// What each answer takes, and how often a request comes.
const TRIP: Millis = 120;
const STEP: Millis = 100;

fn session(number: u64) -> String {
    format!("ses_{:032x}", u128::from(number) << 64 | u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn caller(session_id: String, proven_at: Millis) -> Caller {
    let mut caller = Caller::with_key("usr_1".into(), Vec::new(), Vec::<Grant>::new(), proven_at / 1000);
    caller.session_id = session_id;
    caller
}

/// When a logout happens, and when its row is in the table: one in a thousand is written late, one in ten thousand very late.
fn logout(number: u64) -> (Millis, Millis) {
    let at = START + number * 1000 / A_SECOND;
    let late = match number {
        _ if number % 10_000 == 9_999 => 30_000,
        _ if number % 1000 == 999 => 2_500,
        _ => 20,
    };
    (at, at + late)
}

/// What the service responds at this time.
fn page(ask: &Ask, keys: &[u64], now: Millis) -> Vec<u8> {
    let span = match *ask {
        Ask::Newest => Span { from: newest_from(now), until: now },
        Ask::Past(span) => span,
    };
    let number = |time: Millis| time.saturating_sub(START) * A_SECOND / 1000;
    let numbers = number(span.from)..(number(span.until) + 1).min(keys.len() as u64);
    let there = numbers.filter(|number| {
        let (at, written_at) = logout(*number);
        (span.from..span.until).contains(&at) && written_at <= now
    });
    Page::encode(
        span,
        now,
        965,
        there.map(|number| keys[usize::try_from(number).unwrap()]).collect(),
        Vec::new(),
    )
}

#[test]
fn a_million_live_revocations_are_known_within_six_seconds_and_close_nothing() {
    let keys: Vec<u64> = (0..A_SECOND * SECONDS).map(|number| key(&session(number)).unwrap()).collect();
    let mut feed = Feed::new(5000, 60_000);
    let mut under_way: Option<(Millis, Millis, Ask, Vec<u8>)> = None;
    let (mut open, mut next, mut waits, mut late) = (Vec::new(), 0, Vec::new(), Vec::new());
    let (mut polls, mut bytes, mut most) = (0, 0, 0);
    for now in (START..START + SECONDS * 1000 + 15_000).step_by(usize::try_from(STEP).unwrap()) {
        if let Some((_, asked_at, ask, page)) = under_way.take_if(|(ready_at, ..)| *ready_at <= now) {
            (polls, bytes) = (polls + 1, bytes + page.len());
            feed.arrived(&ask, page, asked_at).unwrap();
        }
        while next < keys.len() as u64 && logout(next).0 <= now {
            if next % 997 == 0 || next % 10_000 == 9_999 {
                open.push(next);
            }
            next += 1;
        }
        if under_way.is_none()
            && let Some(ask) = feed.wanted(now)
        {
            // The newest page may have been left by another isolate a while ago.
            let age = if ask == Ask::Newest { now / STEP * 37 % 20 * STEP } else { 0 };
            under_way = Some((now + TRIP, now - age, ask, page(&ask, &keys, now - age)));
        }
        let other = caller("ses_ffffffffffffffffffffffffffffffff".into(), now - 300_000);
        if feed.must_wait(&other, now, now) {
            continue;
        }
        open.retain(|number| {
            let (at, written_at) = logout(*number);
            let is_refused = feed.covers(&caller(session(*number), at));
            if is_refused {
                if written_at < at + 30_000 { &mut waits } else { &mut late }.push(now - at);
            }
            !is_refused
        });
        if now > START + 2000 {
            assert!(!feed.covers(&other) && !feed.is_stale(now) && !feed.lacks(&other), "closed at {now}");
        }
        most = most.max(feed.pages.size());
    }
    waits.sort_unstable();
    let live = feed.pages.size() / 8;
    let p99 = waits[waits.len() * 99 / 100];
    println!(
        "{live} entries in {most} bytes; {polls} pages of {} bytes; {} logouts seen, half within {} ms, p99 {p99} ms, the last {} ms",
        bytes / polls,
        waits.len(),
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    );
    assert!(live >= 1_000_000 && most < 24 << 20, "{live} entries in {most} bytes");
    assert!(p99 <= 6000, "{p99} ms");
    // Written half a minute late, a logout is known when its block is settled.
    assert!(late.len() > 50 && late.iter().all(|wait| *wait <= 60_000 + 66_000 + 5_000), "{late:?}");
    for number in (100_000..A_SECOND * (SECONDS - 200)).step_by(4999) {
        assert!(feed.covers(&caller(session(number), START)), "{number} passes again");
    }
}

#[test]
fn a_fresh_isolate_decides_on_young_tokens_after_two_pages_and_on_all_after_seventeen() {
    let keys: Vec<u64> = (0..A_SECOND * SECONDS).map(|number| key(&session(number)).unwrap()).collect();
    let now = START + SECONDS * 1000;
    let mut feed = Feed::new(5000, 60_000);
    let (young, old) = (caller(session(0), now), caller(session(0), now - 800_000));
    let mut pages = 0;
    while let Some(ask) = feed.wanted(now) {
        let page = page(&ask, &keys, now);
        assert!(page.len() < 2 << 20, "{ask:?} brings {} bytes", page.len());
        feed.arrived(&ask, page, now).unwrap();
        pages += 1;
        assert_eq!(feed.lacks(&young), pages < 2, "after {pages} pages");
    }
    assert!(pages <= 18 && !feed.lacks(&old), "{pages} pages");
    for number in (60_000..A_SECOND * SECONDS - 1000).step_by(997) {
        let (at, written_at) = logout(number);
        assert_eq!(feed.covers(&caller(session(number), at)), written_at <= now, "{number}");
    }
}
