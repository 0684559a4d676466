//! Requests in JSON, one a line.

use std::io::{BufRead, Read as _};

use storage::otlp::{MAX_MESSAGE_BYTES, PlainRequest, Rejection};

use super::source_error::SourceError;

/// A request, and its spans that are not valid, and so not in it.
pub(super) type Request = (PlainRequest, Vec<Rejection>);

/// Requests in JSON, one a line.
pub(super) struct JsonLines<R> {
    reader: R,
    name: String,
    /// Lines read.
    line: u64,
    /// Bytes read.
    offset: u64,
    /// After the end or an error nothing is read.
    done: bool,
}

impl<R: BufRead> JsonLines<R> {
    /// The requests that are left in a reader; errors call it by this name.
    pub(super) fn new(reader: R, name: String) -> Self {
        Self {
            reader,
            name,
            line: 0,
            offset: 0,
            done: false,
        }
    }

    fn next_request(&mut self) -> Result<Option<Request>, SourceError> {
        let mut text = Vec::new();
        loop {
            let start = self.offset;
            self.line += 1;
            text.clear();
            let read = self
                .reader
                .by_ref()
                .take(MAX_MESSAGE_BYTES + 1)
                .read_until(b'\n', &mut text);
            let read = read.map_err(|source| SourceError::Read {
                name: self.name.clone(),
                source,
            })?;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            self.offset += read;
            if read == 0 {
                return Ok(None);
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let damaged = |reason| SourceError::Line {
                name: self.name.clone(),
                line: self.line,
                offset: start,
                reason,
            };
            if read > MAX_MESSAGE_BYTES {
                return Err(damaged(format!("longer than {MAX_MESSAGE_BYTES} bytes")));
            }
            return ingest::decode_json(&text)
                .map(PlainRequest::from_message)
                .map(Some)
                .map_err(|error| damaged(error.to_string()));
        }
    }
}

impl<R: BufRead> Iterator for JsonLines<R> {
    type Item = Result<Request, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.next_request().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}
