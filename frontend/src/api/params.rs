//! Request parameters, in order and with repetitions.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{Method, Uri, header};

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
    pub(super) async fn of_url_and_form(request: Request) -> Result<Self, FormRejection> {
        let of_url = Self::of_url(request.uri());
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_form = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        if request.method() != Method::POST || !is_form {
            return Ok(of_url);
        }
        let Form(mut pairs) = Form::<Vec<(String, String)>>::from_request(request, &()).await?;
        pairs.extend(of_url.0);
        Ok(Self(pairs))
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
