//! Measures two things in turn and prints how many times the first the second takes.

use std::time::{Duration, Instant};

use criterion::Criterion;

/// One line of the table at the end.
struct Line {
    name: String,
    figure: String,
    aim: Option<f64>,
}

/// What was measured so far.
pub(crate) struct Report {
    criterion: Criterion,
    lines: Vec<Line>,
}

impl Report {
    /// Nothing yet; what is measured, and how, is said on the command line.
    pub(crate) fn new() -> Self {
        Self { criterion: Criterion::default().sample_size(50).configure_from_args(), lines: Vec::new() }
    }

    /// Criterion shows the subject's time; floor and subject take turns in every sample, so that whatever else the
    /// machine is doing slows both.
    pub(crate) fn ratio(
        &mut self,
        name: &str,
        aim: Option<f64>,
        floor: &mut dyn FnMut(),
        mut subject: impl FnMut(),
    ) {
        let mut samples = Vec::new();
        self.criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let (bare, whole) = in_turn(times, floor, &mut subject);
                samples.push((bare.div_f64(per(times)), whole.div_f64(per(times))));
                whole
            });
        });
        if samples.is_empty() {
            return;
        }
        let ratio = median(samples.iter().map(|(bare, whole)| whole.as_secs_f64() / bare.as_secs_f64()));
        let bare = median(samples.iter().map(|(bare, _)| bare.as_secs_f64())) * 1e6;
        let whole = median(samples.iter().map(|(_, whole)| whole.as_secs_f64())) * 1e6;
        let figure = format!("{whole:10.1} µs / {bare:9.1} µs = {ratio:5.2}");
        self.lines.push(Line { name: name.to_owned(), figure, aim });
    }

    /// Times one thing; the median of its samples in seconds, if it was selected.
    pub(crate) fn time(&mut self, name: &str, mut subject: impl FnMut()) -> Option<f64> {
        let mut samples = Vec::new();
        self.criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let took = repeat(times, &mut subject);
                samples.push(took.as_secs_f64() / per(times));
                took
            });
        });
        (!samples.is_empty()).then(|| median(samples.into_iter()))
    }

    /// The table.
    pub(crate) fn print(self) {
        println!("\nmedians; subject and floor of a line were measured in turns");
        for Line { name, figure, aim } in self.lines {
            let aim = aim.map(|aim| format!("   (aim: at most {aim:.2})")).unwrap_or_default();
            println!("  {name:50} {figure}{aim}");
        }
    }
}

/// Turns short enough that a change in the machine's speed meets both.
const TURNS: u64 = 8;

fn in_turn(times: u64, floor: &mut dyn FnMut(), subject: &mut dyn FnMut()) -> (Duration, Duration) {
    let (mut bare, mut whole) = (Duration::ZERO, Duration::ZERO);
    let turns = TURNS.min(times);
    for turn in 0..turns {
        let share = times / turns + u64::from(turn < times % turns);
        bare += repeat(share, floor);
        whole += repeat(share, subject);
    }
    (bare, whole)
}

#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn repeat(times: u64, what: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        what();
    }
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a count of iterations")]
fn per(times: u64) -> f64 {
    times as f64
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}
