//! Files of requests: each a varint length and that many bytes.

use std::io::{ErrorKind as IoErrorKind, Read};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::encoding::decode_varint;
use prost::{DecodeError, Message as _};

use super::plain::PlainRequest;
use super::rejection::Rejection;
use crate::error::StorageError;

/// Longest message that [`read_delimited`] accepts unless told otherwise.
pub const MAX_MESSAGE_BYTES: u64 = 64 << 20;

/// Bytes of a varint that takes 64 bits.
const LONGEST_VARINT: usize = 10;

/// Reads length-delimited requests until the end of the input. A failure ends the iteration.
pub fn read_delimited<R: Read>(reader: R) -> Delimited<R, ExportTraceServiceRequest> {
    delimited(reader, ExportTraceServiceRequest::decode)
}

/// As [`read_delimited`], without decoding what need not be. With each request come its spans that are
/// not valid, and not in it.
pub fn read_delimited_plain<R: Read>(reader: R) -> Delimited<R, (PlainRequest, Vec<Rejection>)> {
    delimited(reader, PlainRequest::read)
}

fn delimited<R: Read, T>(
    reader: R,
    decode: fn(Bytes) -> Result<T, DecodeError>,
) -> Delimited<R, T> {
    Delimited {
        reader,
        decode,
        offset: 0,
        number: 0,
        limit: MAX_MESSAGE_BYTES,
        done: false,
    }
}

/// Requests of a stream, in order.
#[derive(Debug)]
pub struct Delimited<R, T> {
    reader: R,
    decode: fn(Bytes) -> Result<T, DecodeError>,
    offset: u64,
    number: u64,
    limit: u64,
    done: bool,
}

impl<R: Read, T> Delimited<R, T> {
    /// Sets the longest message accepted.
    #[must_use]
    pub fn with_max_message_bytes(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    fn read(&mut self) -> Result<Option<T>, StorageError> {
        let start = self.offset;
        self.number += 1;
        let Some(length) = self.read_length(start)? else {
            return Ok(None);
        };
        if length > self.limit {
            return Err(StorageError::MessageTooLong {
                number: self.number,
                offset: start,
                length,
                limit: self.limit,
            });
        }
        // Grows with what arrives, so that a wrong length costs no memory.
        let mut body = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut body);
        read.map_err(|error| self.failure(start, error.to_string()))?;
        if (body.len() as u64) < length {
            let reason = format!("the input ends after {} of {length} bytes", body.len());
            return Err(self.failure(start, reason));
        }
        self.offset += length;
        match (self.decode)(body.into_boxed_slice().into()) {
            Ok(request) => Ok(Some(request)),
            Err(error) => Err(self.failure(start, error.to_string())),
        }
    }

    fn read_length(&mut self, start: u64) -> Result<Option<u64>, StorageError> {
        let mut varint = [0; LONGEST_VARINT];
        for (at, place) in varint.iter_mut().enumerate() {
            let Some(byte) = self.read_byte(start)? else {
                if at == 0 {
                    return Ok(None);
                }
                return Err(self.failure(start, "the input ends inside the length".to_owned()));
            };
            *place = byte;
            if byte < 0x80 {
                break;
            }
        }
        match decode_varint(&mut &varint[..]) {
            Ok(length) => Ok(Some(length)),
            Err(_) => Err(self.failure(start, "the length is no 64-bit varint".to_owned())),
        }
    }

    fn read_byte(&mut self, start: u64) -> Result<Option<u8>, StorageError> {
        let mut byte = [0];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    self.offset += 1;
                    return Ok(Some(byte[0]));
                }
                Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure(start, error.to_string())),
            }
        }
    }

    fn failure(&self, offset: u64, reason: String) -> StorageError {
        StorageError::Message {
            number: self.number,
            offset,
            reason,
        }
    }
}

impl<R: Read, T> Iterator for Delimited<R, T> {
    type Item = Result<T, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.read().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(input: &[u8]) -> Result<(), String> {
        let first = read_delimited(input).next();
        let first = first.transpose().map_err(|error| error.to_string());
        first.map(|request| assert!(request.is_none(), "{request:?}"))
    }

    #[test]
    fn lengths_are_varints_of_64_bits() {
        let fails = |input: &[u8], reason: &str| {
            let error = first(input).unwrap_err();
            assert!(error.contains(reason), "{input:?}: {error}");
        };
        assert_eq!(first(&[]), Ok(()));
        fails(&[0x80], "the input ends inside the length");
        fails(&[0xff; 9], "the input ends inside the length");
        fails(&[0xff; 10], "the length is no 64-bit varint");
        let mut longest = [0xff; 10];
        longest[9] = 2;
        fails(&longest, "the length is no 64-bit varint");
        longest[9] = 1;
        fails(&longest, &u64::MAX.to_string());
    }
}
