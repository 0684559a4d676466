//! Response bodies of bounded size.

use std::io;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::QueryError;
use crate::threads::off_reactor;

/// Writes JSON away from the threads that serve requests, and gives up beyond `limit` bytes.
///
/// # Errors
/// [`QueryError::ResponseTooLarge`].
pub(super) async fn json<T: Serialize + Send + 'static>(
    value: T,
    limit: usize,
) -> Result<Response, QueryError> {
    let bytes = off_reactor(move || {
        let mut buffer = Bounded {
            bytes: Vec::new(),
            limit,
        };
        match serde_json::to_writer(&mut buffer, &value) {
            Ok(()) => Ok(buffer.bytes),
            Err(error) if error.is_io() => Err(QueryError::ResponseTooLarge { limit }),
            Err(error) => {
                tracing::error!(%error, "answer cannot be written as JSON");
                Err(QueryError::Internal("answer cannot be written as JSON"))
            }
        }
    })
    .await??;
    Ok(json_bytes(StatusCode::OK, bytes))
}

/// Writes a protobuf message away from the threads that serve requests, if it has no more than
/// `limit` bytes.
///
/// # Errors
/// [`QueryError::ResponseTooLarge`].
pub(super) async fn protobuf<T: prost::Message + 'static>(
    message: T,
    limit: usize,
) -> Result<Response, QueryError> {
    let bytes = off_reactor(move || {
        let fits = message.encoded_len() <= limit;
        fits.then(|| message.encode_to_vec())
            .ok_or(QueryError::ResponseTooLarge { limit })
    })
    .await??;
    let mut response = bytes.into_response();
    let protobuf = HeaderValue::from_static("application/protobuf");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, protobuf);
    Ok(response)
}

/// Small JSON that is known to be writable.
pub(super) fn small_json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => json_bytes(status, bytes),
        Err(error) => {
            tracing::error!(%error, "response cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json_bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = (status, bytes).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_are_bounded() {
        assert!(json("12345678", 10).await.is_ok());
        let error = json("123456789", 10).await.unwrap_err();
        assert!(
            error.to_string().contains("query.max_response_bytes"),
            "{error}"
        );
    }
}
