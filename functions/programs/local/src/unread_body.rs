//! Request bodies that are answered before they were read to their end, as with most refusals: what is left is read beside the response
//! and thrown away. A connection that is closed with bytes unread is reset, and the client may never see the response (RFC
//! 9112, section 9.6).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// The most that is thrown away of one body, in bytes. Who sends more is cut off, and may not see why.
const MOST_DISCARDED: usize = 4 << 20;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(3);

/// A request body whose rest is read when it is dropped.
#[derive(Debug)]
pub(crate) struct UnreadBody(Option<Incoming>);

impl UnreadBody {
    pub(crate) fn of(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for UnreadBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for UnreadBody {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        // Without a runtime the process is about to end, and its connections with it.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, discard(rest)));
        }
    }
}

/// Reads a body until it ends, breaks off, or was more than is thrown away.
async fn discard(mut body: Incoming) {
    let mut left = MOST_DISCARDED;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}
