//! What a handler leaves of a request's body is read before the answer goes out, so that the connection can be used again;
//! where that is too much or takes too long, the answer says that the connection ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// How long the rest of a body is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

/// The rest of a body, once its handler is done.
pub(super) struct Rest(oneshot::Receiver<Body>);

/// The body for a handler, and what will be left of it.
pub(super) fn lend(body: Body) -> (Body, Rest) {
    let (back, rest) = oneshot::channel();
    (Body::new(Lent { body, back: Some(back) }), Rest(rest))
}

impl Rest {
    /// Reads it, at most so many bytes. Whether the body is at its end.
    pub(super) async fn read(mut self, most: usize) -> bool {
        let Ok(body) = self.0.try_recv() else { return true };
        tokio::time::timeout(PATIENCE, skipped(body, most)).await.unwrap_or(false)
    }
}

async fn skipped(mut body: Body, mut most: usize) -> bool {
    while let Some(frame) = body.frame().await {
        let data = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
        let Some(left) = data.ok().and_then(|length| most.checked_sub(length)) else { return false };
        most = left;
    }
    true
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take().filter(|_| !self.is_at_end()) {
            drop(back.send(std::mem::take(&mut self.body))); // nobody may wait for it any more
        }
    }
}

impl Lent {
    fn is_at_end(&self) -> bool {
        hyper::body::Body::is_end_stream(&self.body)
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.back = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
