//! The longest a request may take.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::{Code, Problem};

/// Gives up on a handler that takes longer. What it was writing is written whole or not at all: every write is one
/// conditional request to the store.
pub(crate) async fn enforce(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(longest, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::DeadlineExceeded).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::{app, request, send};

    fn slow(seconds: u64) -> Router {
        app(Router::new().route("/slow", get(move || sleep(Duration::from_secs(seconds)))))
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_is_answered_for() {
        let began = Instant::now();
        let answer = send(&slow(3600), request("GET", "/slow", &[])).await;
        assert_eq!(answer.problem(), (503, "deadline_exceeded".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("2"));
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_handler_within_the_deadline_is_waited_for() {
        assert_eq!(send(&slow(4), request("GET", "/slow", &[])).await.status, 200);
    }
}
