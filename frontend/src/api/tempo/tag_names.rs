//! Names of attributes: `/api/search/tags` and its newer form.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use storage::block::meta::AttributeScope;

use super::error::TempoError;
use super::invalid::InvalidParameter;
use super::messages::{MetadataMetrics, SearchTagsResponse, SearchTagsV2Response, TagsOfScope};
use super::tags::{count, request, send};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::config::FrontendConfig;
use crate::names::AttributeNames;
use crate::query::Frontend;

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
enum AskedNames {
    All,
    Attributes(AttributeScope),
    Intrinsics,
    /// Of the trace, which has no attributes of its own.
    Nothing,
}

impl AskedNames {
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
    let asked = AskedNames::parse(&params)?;
    let limit = count(&params, "limit")?;
    let mut found = names(frontend, &headers, &params, asked).await?;
    let mut room = Room::new(frontend.config());
    let mut scopes = Vec::new();
    for (name, scope) in SCOPES.into_iter().filter(|(_, scope)| asked.has(*scope)) {
        let keys = found.by_scope.remove(&scope).unwrap_or_default();
        let tags = room.take(keys.into_iter(), limit);
        if !tags.is_empty() {
            let name = name.to_owned();
            scopes.push(TagsOfScope { name, tags });
        }
    }
    if matches!(asked, AskedNames::All | AskedNames::Intrinsics) {
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
    let asked = AskedNames::parse(&params)?;
    let limit = count(&params, "limit")?;
    let mut found = names(frontend, &headers, &params, asked).await?;
    let mut room = Room::new(frontend.config());
    let mut of = |scope| found.by_scope.remove(&scope).unwrap_or_default();
    let names = match asked {
        AskedNames::All => &of(AttributeScope::Resource) | &of(AttributeScope::Span),
        AskedNames::Attributes(scope) => of(scope),
        AskedNames::Intrinsics => INTRINSICS.map(str::to_owned).into(),
        AskedNames::Nothing => Default::default(),
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
    asked: AskedNames,
) -> Result<AttributeNames, TempoError> {
    let request = request(frontend, headers, params)?;
    match asked {
        AskedNames::All | AskedNames::Attributes(_) => {
            Ok(frontend.attribute_names(&request).await?)
        }
        AskedNames::Intrinsics | AskedNames::Nothing => Ok(AttributeNames::default()),
    }
}

#[cfg(test)]
mod tests {
    use traceql::ast::Attribute;

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
