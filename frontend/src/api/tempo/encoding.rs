//! In which form an answer is sent.

use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::proto_json::{Json, Message};
use crate::api::body;
use crate::error::QueryError;

/// In which form an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

impl Encoding {
    /// What the request asks for; JSON unless it is protobuf.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut accepts = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok());
        if accepts.any(|accept| accept.contains("application/protobuf")) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }

    /// Sends a message, if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// [`QueryError::ResponseTooLarge`].
    pub(super) async fn send<T>(self, message: T, limit: usize) -> Result<Response, QueryError>
    where
        T: prost::Message + Message + 'static,
    {
        match self {
            Self::Json => body::json(Json(message), limit).await,
            Self::Protobuf => body::protobuf(message, limit).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_sent_to_those_who_ask_for_it() {
        for (accept, expected) in [
            ("", Encoding::Json),
            ("*/*", Encoding::Json),
            (
                "application/json, application/protobuf;q=0.5",
                Encoding::Protobuf,
            ),
            ("application/vnd.grafana.llm", Encoding::Json),
            ("text/html", Encoding::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(Encoding::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Json);
    }
}
