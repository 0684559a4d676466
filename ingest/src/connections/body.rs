//! The body of a request, whose rest is read and thrown away if nobody wants it.
//!
//! Many clients read no answer before they have sent everything. Closing a connection on them resets
//! it, and the answer, which would say why, is lost, and the next request on that connection with it.
//! So the rest of a request that is refused is discarded behind the answer, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// Bytes discarded at most; they take no memory. Whoever is over a limit is mostly so by a small
/// factor.
const MAX_DISCARDED_BYTES: u64 = 512 << 20;
/// Time that discarding takes at most: enough for 100 MB over a slow line, and less than requests get to
/// finish at shutdown.
const MAX_DISCARD_TIME: Duration = Duration::from_secs(20);

/// The body of a request. What is not read of it is discarded once it is dropped.
#[derive(Debug)]
pub struct RequestBody {
    /// `None` once there is no more.
    rest: Option<Incoming>,
    /// The client sends nothing before it is told to go on, which reading does.
    awaits_leave: bool,
    timeout: Duration,
}

impl RequestBody {
    /// `timeout` is for how long the client may be silent while the rest is discarded.
    pub(super) fn new(headers: &HeaderMap, incoming: Incoming, timeout: Duration) -> Self {
        Self {
            timeout,
            rest: (!incoming.is_end_stream()).then_some(incoming),
            awaits_leave: headers.contains_key(header::EXPECT),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.awaits_leave = false;
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(rest).poll_frame(cx);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none_left = SizeHint::with_exact(0);
        self.rest.as_ref().map_or(none_left, Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(rest) = self.rest.take() else {
            return;
        };
        let hopeless = rest.size_hint().lower() > MAX_DISCARDED_BYTES;
        if self.awaits_leave || hopeless || rest.is_end_stream() {
            return;
        }
        // Outside of a runtime the connection is gone, too.
        if let Ok(runtime) = Handle::try_current() {
            let discarding = discard(rest, self.timeout);
            runtime.spawn(tokio::time::timeout(MAX_DISCARD_TIME, discarding));
        }
    }
}

async fn discard(mut body: Incoming, timeout: Duration) {
    let mut discarded = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(timeout, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        discarded += u64::try_from(bytes).unwrap_or(u64::MAX);
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}
