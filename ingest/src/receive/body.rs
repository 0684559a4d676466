//! Bringing a request's bytes in: bounded in length, in memory over all requests, and in time.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use crate::budget::Share;
use crate::connections::RequestBody;
use crate::error::PushError;
use crate::ingest::Ingest;

/// So many times as long as what has come of a body, room is made for at most.
const AHEAD: usize = 4;

/// Reads a whole body of at most `limit` bytes into memory of its own, where it can stay; not before there
/// is room for its spans. `announced` says how long it is by its first bytes, if nothing else does.
pub(super) async fn read(
    ingest: &Ingest,
    mut body: RequestBody,
    limit: usize,
    announced: impl Fn(&[u8]) -> Option<usize>,
) -> Result<(Bytes, Share), PushError> {
    ingest.room().await?;
    let too_large = || PushError::BodyTooLarge {
        limit: ingest.config().ingest.max_request_bytes,
    };
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(too_large());
    }
    let exact = hint.exact().and_then(|exact| usize::try_from(exact).ok());
    let waited = ingest.config().receivers.body_timeout;
    let mut memory = ingest.memory();
    let mut all = Vec::new();
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
        let needed = all.len() + data.len();
        if needed > limit {
            return Err(too_large());
        }
        if needed > all.capacity() {
            let first = if all.is_empty() { &data[..] } else { &all };
            let whole = exact.or_else(|| announced(first)).unwrap_or(2 * needed);
            let room = room(needed, whole.min(limit));
            memory.grow(room - all.capacity())?;
            all.reserve_exact(room - all.len());
        }
        all.extend_from_slice(&data);
    }
    all.shrink_to_fit();
    Ok((all.into(), memory))
}

/// How much room to make for a body of which so many bytes are here, and which says to be `whole`. It is
/// not believed more than in proportion to what has come.
fn room(here: usize, whole: usize) -> usize {
    whole.min(here.saturating_mul(AHEAD)).max(here)
}

#[cfg(test)]
mod tests {
    use super::room;

    #[test]
    fn room_is_made_in_proportion_to_what_has_come() {
        assert_eq!(room(100, 100), 100);
        assert_eq!(room(100, 350), 350);
        assert_eq!(room(100, 1 << 40), 400);
        assert_eq!(room(100, 0), 100);
    }
}
