//! Errors as the Tempo API shows them: plain text.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::invalid::InvalidParameter;
use crate::api::tenancy::TenancyError;
use crate::error::{ErrorKind, QueryError};

/// When a client that was refused for a full queue should come back.
const RETRY_AFTER_SECONDS: &str = "2";

/// An error as the Tempo API shows it.
#[derive(Debug)]
pub(super) enum TempoError {
    Tenancy(TenancyError),
    Parameter(InvalidParameter),
    Query(QueryError),
}

impl TempoError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Tenancy(error) => error.status,
            Self::Parameter(_) => StatusCode::BAD_REQUEST,
            Self::Query(error) => match error.kind() {
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
                ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
                ErrorKind::Timeout | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                // "Client closed request": nobody reads it but the log.
                ErrorKind::Cancelled => {
                    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
                }
                ErrorKind::Execution | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

impl IntoResponse for TempoError {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = match self {
            Self::Tenancy(error) => error.message,
            Self::Parameter(error) => error.to_string(),
            Self::Query(error) => error.to_string(),
        };
        let mut response = (status, text).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let delay = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, delay);
        }
        response
    }
}

impl From<TenancyError> for TempoError {
    fn from(error: TenancyError) -> Self {
        Self::Tenancy(error)
    }
}

impl From<InvalidParameter> for TempoError {
    fn from(error: InvalidParameter) -> Self {
        Self::Parameter(error)
    }
}

impl From<QueryError> for TempoError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}
