//! Names of attributes and their values, which Tempo calls tags.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use storage::block::ValueLimits;
use storage::block::meta::AttributeScope;
use traceql::ast::{Attribute, Intrinsic, Scope};

use super::encoding::Encoding;
use super::error::TempoError;
use super::invalid::{InvalidParameter, unreadable};
use super::messages::{
    MetadataMetrics, SearchTagValuesResponse, SearchTagValuesV2Response, SearchTagsResponse,
    SearchTagsV2Response, TagValue, TagsOfScope,
};
use super::params::time;
use super::window::Window;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::api::time::now_ns;
use crate::config::FrontendConfig;
use crate::names::{AttributeNames, NamesRequest};
use crate::query::Frontend;
use crate::values::Values;

/// Says why an answer is not complete, which its body cannot.
const WARNING: HeaderName = HeaderName::from_static("x-spandrel-warning");

/// The scopes in the order of an answer.
const SCOPES: [(&str, AttributeScope); 5] = [
    ("resource", AttributeScope::Resource),
    ("span", AttributeScope::Span),
    ("event", AttributeScope::Event),
    ("link", AttributeScope::Link),
    ("instrumentation", AttributeScope::Instrumentation),
];

/// What clients can offer besides attributes.
const INTRINSICS: [&str; 25] = [
    "duration",
    "name",
    "status",
    "statusMessage",
    "kind",
    "rootServiceName",
    "rootName",
    "traceDuration",
    "event:name",
    "event:timeSinceStart",
    "link:spanID",
    "link:traceID",
    "instrumentation:name",
    "instrumentation:version",
    "trace:id",
    "span:id",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "span:duration",
    "span:name",
    "span:kind",
    "trace:rootName",
    "trace:rootService",
    "trace:duration",
];

/// Which names are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Attributes(AttributeScope),
    Intrinsics,
    /// Of the trace, which has no attributes of its own.
    Nothing,
}

impl Wanted {
    fn parse(params: &Params) -> Result<Self, InvalidParameter> {
        let text = params.get("scope").unwrap_or("none");
        if let Some((_, scope)) = SCOPES.into_iter().find(|(name, _)| *name == text) {
            return Ok(Self::Attributes(scope));
        }
        match text {
            "none" => Ok(Self::All),
            "intrinsic" => Ok(Self::Intrinsics),
            "trace" => Ok(Self::Nothing),
            other => Err(InvalidParameter::Scope(other.chars().take(64).collect())),
        }
    }

    fn has(self, scope: AttributeScope) -> bool {
        self == Self::All || self == Self::Attributes(scope)
    }
}

/// Takes names while there is room for them.
struct Room {
    bytes: usize,
    is_full: bool,
}

impl Room {
    fn new(config: &FrontendConfig) -> Self {
        let bytes = match config
            .overrides
            .defaults
            .read
            .max_bytes_per_tag_values_query
        {
            0 => usize::MAX,
            limit => limit,
        };
        Self {
            bytes,
            is_full: false,
        }
    }

    /// The first of the names, at most `limit`.
    fn take(&mut self, names: impl Iterator<Item = String>, limit: usize) -> Vec<String> {
        let mut taken = Vec::new();
        for name in names {
            if taken.len() >= limit || name.len() > self.bytes {
                self.is_full = true;
                break;
            }
            self.bytes -= name.len();
            taken.push(name);
        }
        taken
    }

    fn warning(&self) -> Option<String> {
        let text = "there are more names than the limit lets through (limit, \
                    overrides.defaults.read.max_bytes_per_tag_values_query)";
        self.is_full.then(|| text.to_owned())
    }
}

/// `/api/v2/search/tags`: names by scope.
pub(super) async fn names_v2(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let params = Params::of_url(&uri);
    let wanted = Wanted::parse(&params)?;
    let limit = count(&params, "limit")?;
    let mut found = names(frontend, &headers, &params, wanted).await?;
    let mut room = Room::new(frontend.config());
    let mut scopes = Vec::new();
    for (name, scope) in SCOPES.into_iter().filter(|(_, scope)| wanted.has(*scope)) {
        let keys = found.by_scope.remove(&scope).unwrap_or_default();
        let tags = room.take(keys.into_iter(), limit);
        if !tags.is_empty() {
            let name = name.to_owned();
            scopes.push(TagsOfScope { name, tags });
        }
    }
    if matches!(wanted, Wanted::All | Wanted::Intrinsics) {
        scopes.push(TagsOfScope {
            name: "intrinsic".to_owned(),
            tags: INTRINSICS.map(str::to_owned).into(),
        });
    }
    let response = SearchTagsV2Response {
        scopes,
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(frontend, &headers, response, room.warning()).await
}

/// `/api/search/tags`: names without their scope.
pub(super) async fn names_v1(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let params = Params::of_url(&uri);
    let wanted = Wanted::parse(&params)?;
    let limit = count(&params, "limit")?;
    let mut found = names(frontend, &headers, &params, wanted).await?;
    let mut room = Room::new(frontend.config());
    let mut of = |scope| found.by_scope.remove(&scope).unwrap_or_default();
    let names = match wanted {
        Wanted::All => &of(AttributeScope::Resource) | &of(AttributeScope::Span),
        Wanted::Attributes(scope) => of(scope),
        Wanted::Intrinsics => INTRINSICS.map(str::to_owned).into(),
        Wanted::Nothing => Default::default(),
    };
    let response = SearchTagsResponse {
        tag_names: room.take(names.into_iter(), limit),
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(frontend, &headers, response, room.warning()).await
}

async fn names(
    frontend: &Frontend,
    headers: &HeaderMap,
    params: &Params,
    wanted: Wanted,
) -> Result<AttributeNames, TempoError> {
    let request = request(frontend, headers, params)?;
    match wanted {
        Wanted::All | Wanted::Attributes(_) => Ok(frontend.attribute_names(&request).await?),
        Wanted::Intrinsics | Wanted::Nothing => Ok(AttributeNames::default()),
    }
}

/// `/api/v2/search/tag/{name}/values`: values with their types.
pub(super) async fn values_v2(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let name = traceql::parse_attribute(&tag);
    let name = name.map_err(|error| InvalidParameter::TagName(error.to_string()))?;
    let found = values(&state.frontend, &headers, &uri, &name).await?;
    let values = found.values.into_iter().map(|value| TagValue {
        value_type: value.value_type.to_string(),
        value: value.text,
    });
    let response = SearchTagValuesV2Response {
        tag_values: values.collect(),
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(&state.frontend, &headers, response, found.partial).await
}

/// `/api/search/tag/{name}/values`: values as text, of a name without scope.
pub(super) async fn values_v1(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let found = values(&state.frontend, &headers, &uri, &plain_name(&tag)).await?;
    let mut texts: Vec<String> = found.values.into_iter().map(|value| value.text).collect();
    // The same text may have been a value of several types.
    texts.sort_unstable();
    texts.dedup();
    let response = SearchTagValuesResponse {
        tag_values: texts,
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(&state.frontend, &headers, response, found.partial).await
}

/// What a name means that does not say its scope.
fn plain_name(tag: &str) -> Attribute {
    match traceql::parse_attribute(tag) {
        Ok(attribute @ Attribute::Intrinsic { .. }) => attribute,
        _ if tag == "status.code" => Attribute::of_span(Intrinsic::Status),
        _ => Attribute::Key {
            scope: Scope::Unscoped,
            of_parent: false,
            key: tag.to_owned(),
        },
    }
}

async fn values(
    frontend: &Frontend,
    headers: &HeaderMap,
    uri: &Uri,
    name: &Attribute,
) -> Result<Values, TempoError> {
    let params = Params::of_url(uri);
    let request = request(frontend, headers, &params)?;
    let limits = ValueLimits {
        values: count(&params, "limit")?,
        stale: count(&params, "maxStaleValues")?,
        ..frontend.value_limits()
    };
    Ok(frontend.values(&request, name, limits).await?)
}

fn request(
    frontend: &Frontend,
    headers: &HeaderMap,
    params: &Params,
) -> Result<NamesRequest, TempoError> {
    let config = frontend.config();
    let tenants = tenancy::tenants(config, headers)?;
    let window = Window::parse(params, config, now_ns(), time)?;
    Ok(NamesRequest {
        tenants,
        start_ns: window.start_ns,
        end_ns: window.end_ns,
        filter: params.get("q").map(str::to_owned),
    })
}

/// A number of names or values; 0 and nothing mean as many as there are.
fn count(params: &Params, name: &'static str) -> Result<usize, InvalidParameter> {
    let parse = |text: &str| {
        let count = text.parse::<u32>().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| unreadable(name, text, "a whole number, zero or more"))
    };
    let count = params.get(name).map(parse).transpose()?;
    Ok(count.filter(|count| *count > 0).unwrap_or(usize::MAX))
}

async fn send<T>(
    frontend: &Frontend,
    headers: &HeaderMap,
    message: T,
    warning: Option<String>,
) -> Result<Response, TempoError>
where
    T: prost::Message + super::proto_json::Message + 'static,
{
    let limit = frontend.config().query.max_response_bytes;
    let mut response = Encoding::accepted(headers).send(message, limit).await?;
    let warning = warning.and_then(|text| HeaderValue::from_str(&text).ok());
    if let Some(warning) = warning {
        response.headers_mut().insert(WARNING, warning);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_intrinsic_offered_can_be_asked_for() {
        for name in INTRINSICS {
            let attribute = traceql::parse_attribute(name);
            assert!(
                matches!(attribute, Ok(Attribute::Intrinsic { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn plain_names() {
        for (tag, expected) in [
            ("name", "name"),
            ("status.code", "status"),
            ("status", "status"),
            ("service.name", ".service.name"),
            ("span.foo", ".span.foo"),
            ("http.status_code", ".http.status_code"),
        ] {
            assert_eq!(plain_name(tag).canonical(), expected);
        }
    }

    #[test]
    fn names_are_cut_to_what_there_is_room_for() {
        let names = || ["aa", "bb", "cc"].map(str::to_owned).into_iter();
        let mut config = FrontendConfig::default();
        config
            .overrides
            .defaults
            .read
            .max_bytes_per_tag_values_query = 7;
        let mut room = Room::new(&config);
        assert_eq!(room.take(names(), 9).len(), 3);
        assert_eq!(room.warning(), None);
        assert_eq!(room.take(names(), 9).len(), 0);
        assert!(room.warning().is_some());
        let mut room = Room::new(&FrontendConfig::default());
        assert_eq!(room.take(names(), 2), ["aa", "bb"]);
        assert!(room.warning().is_some());
    }
}
