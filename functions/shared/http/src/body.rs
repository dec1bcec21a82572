//! Reading a request body, with a limit on its size and a timeout.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{Code, Problem};

/// The most a request body may hold, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// Shorter than the deadline of a request, so that a slow client gets 408 and not a failure of the service.
const BODY_DEADLINE: Duration = Duration::from_secs(3);

/// Returns the whole body; fails with 413 or 408 beyond the limits. The limit holds for the bytes that arrive, whatever the request announced.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(Code::PayloadTooLarge.into());
    }
    match tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Code::PayloadTooLarge.into()),
        Ok(Err(_)) => {
            Err(Problem::new(Code::BadRequest).with_detail("The body could not be read to its end."))
        }
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::channel::Channel;

    use super::*;
    use crate::testing::chunked;

    async fn code(body: Body) -> Result<usize, Code> {
        read(body).await.map(|bytes| bytes.len()).map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn the_limit_is_the_last_length_that_passes() {
        assert_eq!(code(Body::from(vec![b' '; MAX_BODY])).await, Ok(MAX_BODY));
        assert_eq!(code(Body::from(vec![b' '; MAX_BODY + 1])).await, Err(Code::PayloadTooLarge));
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_counted_as_it_arrives() {
        assert_eq!(code(chunked(&vec![b' '; MAX_BODY]).await).await, Ok(MAX_BODY));
        assert_eq!(code(chunked(&vec![b' '; MAX_BODY + 1]).await).await, Err(Code::PayloadTooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let (_sender, stalled) = Channel::<Bytes, Infallible>::new(1);
        assert_eq!(code(Body::new(stalled)).await, Err(Code::RequestTimeout));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_the_callers_problem() {
        let (sender, broken) = Channel::<Bytes, std::io::Error>::new(1);
        sender.abort(std::io::Error::other("connection reset"));
        assert_eq!(code(Body::new(broken)).await, Err(Code::BadRequest));
    }
}
