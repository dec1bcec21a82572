//! What is shown while something takes longer than a second, on a terminal alone.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use indicatif::ProgressBar;

const PATIENCE: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(120);

/// Returns what the work returns. A spinner turns beside it from the second second on; it draws nothing where the standard
/// error is no terminal.
pub(crate) async fn while_working<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = Box::pin(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(TURN);
    let done = work.await;
    bar.finish_and_clear();
    done
}

/// The same beside work that prints its lines as it goes: a terminal that shows them needs no spinner between them.
pub(crate) async fn while_printing<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    if stdout().is_terminal() { work.await } else { while_working(what, work).await }
}
