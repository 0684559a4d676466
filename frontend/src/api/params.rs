//! Request parameters, in order and with repetitions.

use std::time::Duration;

use axum::Form;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{Method, Uri, header};

use crate::config::FrontendConfig;

/// Time that a form may take to arrive.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);
/// Room in a form for everything but the query.
const OTHER_PARAMETERS_BYTES: usize = 64 << 10;

/// A form that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormError {
    #[error(
        "the form is longer than {limit} bytes, which leaves room for the longest query \
         (query_frontend.max_query_expression_size_bytes)"
    )]
    TooLong { limit: usize },
    #[error("the form did not arrive within {} s", FORM_TIMEOUT.as_secs())]
    Slow,
    #[error("cannot read the form: {0}")]
    Malformed(#[from] FormRejection),
}

/// The parameters of a request. An empty value counts as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of the URL.
    pub(super) fn of_url(uri: &Uri) -> Self {
        // Pairs of any texts can always be decoded; an error would mean the types above are wrong.
        Query::try_from_uri(uri).map_or_else(|_| Self::default(), |Query(pairs)| Self(pairs))
    }

    /// Those of a form in the body, then those of the URL: the first of a name counts.
    pub(super) async fn of_url_and_form(
        config: &FrontendConfig,
        request: Request,
    ) -> Result<Self, FormError> {
        let of_url = Self::of_url(request.uri());
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if request.method() != Method::POST || !is_form {
            return Ok(of_url);
        }
        // Any byte may be written as three.
        let limit = (config.query_frontend.max_query_expression_size_bytes)
            .saturating_mul(3)
            .saturating_add(OTHER_PARAMETERS_BYTES);
        let (head, body) = request.into_parts();
        let body = tokio::time::timeout(FORM_TIMEOUT, to_bytes(body, limit)).await;
        // The other reason for a body to fail is that the client left, and then nobody reads this.
        let body = body
            .map_err(|_elapsed| FormError::Slow)?
            .map_err(|_failed| FormError::TooLong { limit })?;
        let request = Request::from_parts(head, Body::from(body));
        let Form(mut pairs) = Form::<Vec<(String, String)>>::from_request(request, &()).await?;
        pairs.extend(of_url.0);
        Ok(Self(pairs))
    }

    /// Names and values, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let named = |(key, value): &&(String, String)| key == name && !value.is_empty();
        self.0.iter().find(named).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
impl<'a> FromIterator<(&'a str, &'a str)> for Params {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(pairs.into_iter().map(owned).collect())
    }
}
