//! The JSON around every answer, and how errors are shown.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::body;
use crate::api::params::FormError;
use crate::api::tenancy::TenancyError;
use crate::error::{ErrorKind, QueryError};

/// `{"status":"success", …}`.
#[derive(Debug, Serialize)]
pub(super) struct Success<T> {
    status: &'static str,
    pub(super) data: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) infos: Vec<String>,
}

impl<T: Serialize> Success<T> {
    pub(super) const fn new(data: T) -> Self {
        Self {
            status: "success",
            data,
            warnings: Vec::new(),
            infos: Vec::new(),
        }
    }

    /// For answers that are small whatever is asked.
    pub(super) fn small(self) -> Response {
        body::small_json(StatusCode::OK, &self)
    }
}

impl<T: Serialize + Send + 'static> Success<T> {
    pub(super) async fn bounded(self, limit: usize) -> Result<Response, ApiError> {
        Ok(body::json(self, limit).await?)
    }
}

/// `{"status":"error", …}`.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    error_type: &'static str,
    error: &'a str,
}

impl ApiError {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            error_type: "bad_data",
            message,
        }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error_type: "internal",
            message,
        }
    }

    pub(super) fn not_found() -> Self {
        let message = "no such endpoint".to_owned();
        Self {
            status: StatusCode::NOT_FOUND,
            error_type: "not_found",
            message,
        }
    }

    pub(super) fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {problem}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            error_type,
            message,
        } = self;
        let failure = Failure {
            status: "error",
            error_type,
            error: &message,
        };
        body::small_json(status, &failure)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let (status, error_type) = match error.kind() {
            ErrorKind::Invalid if error.is_search() => {
                (StatusCode::UNPROCESSABLE_ENTITY, "execution")
            }
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorKind::Execution | ErrorKind::LimitExceeded => {
                (StatusCode::UNPROCESSABLE_ENTITY, "execution")
            }
            ErrorKind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            ErrorKind::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "canceled"),
            ErrorKind::Overloaded | ErrorKind::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            ErrorKind::Internal => (StatusCode::SERVICE_UNAVAILABLE, "internal"),
        };
        Self {
            status,
            error_type,
            message: error.to_string(),
        }
    }
}

impl From<TenancyError> for ApiError {
    fn from(error: TenancyError) -> Self {
        Self {
            status: error.status,
            error_type: "bad_data",
            message: error.message,
        }
    }
}

impl From<FormError> for ApiError {
    fn from(error: FormError) -> Self {
        Self::bad_data(error.to_string())
    }
}
