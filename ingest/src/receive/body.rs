//! Bringing a request's bytes in: bounded in length, in memory over all requests, and in time.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use crate::budget::Share;
use crate::connections::RequestBody;
use crate::error::PushError;
use crate::ingest::Ingest;

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read(
    ingest: &Ingest,
    mut body: RequestBody,
    limit: usize,
) -> Result<(Bytes, Share), PushError> {
    let too_large = || PushError::BodyTooLarge {
        limit: ingest.config().ingest.max_request_bytes,
    };
    // A length announced is believed only to refuse early.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let waited = ingest.config().receivers.body_timeout;
    let mut memory = ingest.memory();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(waited, body.frame()).await;
        let frame = match frame.map_err(|_| PushError::SlowClient { waited })? {
            None => break,
            Some(Err(_)) => return Err(PushError::Disconnected),
            Some(Ok(frame)) => frame,
        };
        // Trailers say nothing to us.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(too_large());
        }
        memory.grow(data.len())?;
        if first.is_empty() && all.is_empty() {
            // The usual request is one frame, and is not copied.
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok((if all.is_empty() { first } else { all.freeze() }, memory))
}
