//! Which names can be queried, and which values they have.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Grid, LabelValue, Series};
use storage::block::meta::{AttributeScope, BlockMeta};
use storage::ids::TenantId;
use storage::snapshot::Snapshot;
use traceql::Dialect;
use traceql::ast::{Attribute, Intrinsic, Scope};

use crate::error::{ErrorKind, QueryError};
use crate::query::{Frontend, RangeRequest};

/// The functions that make series: the names of series in this engine.
pub const METRIC_FUNCTIONS: [(&str, &str); 9] = [
    (
        "avg_over_time",
        "Mean of an attribute over the spans of each interval",
    ),
    (
        "compare",
        "Attribute values of selected spans against all others",
    ),
    ("count_over_time", "Spans per interval"),
    (
        "histogram_over_time",
        "Spans per interval and bucket of an attribute",
    ),
    (
        "max_over_time",
        "Largest value of an attribute among the spans of each interval",
    ),
    (
        "min_over_time",
        "Smallest value of an attribute among the spans of each interval",
    ),
    (
        "quantile_over_time",
        "Quantiles of an attribute over the spans of each interval",
    ),
    ("rate", "Spans per second"),
    (
        "sum_over_time",
        "Sum of an attribute over the spans of each interval",
    ),
];

/// Whose names, and the time in which spans must have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesRequest {
    /// Whose spans.
    pub tenants: Vec<TenantId>,
    /// Earliest span start, ns since the epoch.
    pub start_ns: i64,
    /// Latest span start, ns since the epoch.
    pub end_ns: i64,
}

/// Values of a name, and what to know about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// The values as text, ordered.
    pub values: Vec<String>,
    /// Why there may be more.
    pub warning: Option<String>,
}

impl Frontend {
    /// Every name that can be queried in some block of the time range, ordered: intrinsics and
    /// attributes with their scope.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub async fn names(&self, request: &NamesRequest) -> Result<Vec<String>, QueryError> {
        let snapshots = self.snapshots(&request.tenants).await?;
        let mut names: BTreeSet<String> = Intrinsic::ALL
            .into_iter()
            .filter(|intrinsic| is_listed(*intrinsic))
            .map(|intrinsic| Attribute::of_span(intrinsic).canonical())
            .collect();
        for block in blocks(&snapshots, request) {
            for attribute in &block.attributes {
                let scope = scope_of(attribute.scope);
                let key = attribute.key.clone();
                names.insert(
                    Attribute::Key {
                        scope,
                        of_parent: false,
                        key,
                    }
                    .canonical(),
                );
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The values of a name in the time range, as text. A text that names nothing has none.
    ///
    /// # Errors
    /// As for a query.
    pub async fn values(&self, request: &NamesRequest, name: &str) -> Result<Values, QueryError> {
        let Ok(attribute) = traceql::parse_attribute(name) else {
            return Ok(Values::default());
        };
        if let Attribute::Intrinsic { intrinsic, .. } = &attribute
            && let Some(values) = fixed_values(*intrinsic)
        {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            return Ok(Values {
                values,
                warning: None,
            });
        }
        let snapshots = self.snapshots(&request.tenants).await?;
        let blocks = blocks(&snapshots, request);
        if is_service_name(&attribute)
            && let Some(values) = catalog_services(&blocks, request)
        {
            return Ok(Values {
                values,
                warning: None,
            });
        }
        // An open end of the range means the end of the data.
        let first = blocks.iter().map(|block| block.min_start_ns).min();
        let last = blocks.iter().map(|block| block.max_start_ns).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Values::default());
        };
        let start_ns = request.start_ns.max(first).saturating_sub(1);
        match Grid::instant(start_ns, request.end_ns.min(last)) {
            Some(grid) => self.scan_values(request, &attribute, grid).await,
            None => Ok(Values::default()),
        }
    }

    /// Asks the engine for the groups that the attribute makes.
    async fn scan_values(
        &self,
        request: &NamesRequest,
        attribute: &Attribute,
        grid: Grid,
    ) -> Result<Values, QueryError> {
        let name = attribute.canonical();
        let condition = match attribute {
            Attribute::Key { .. } => format!("{name} != nil"),
            Attribute::Intrinsic { .. } => String::new(),
        };
        let answer = self
            .query_range(&RangeRequest {
                tenants: request.tenants.clone(),
                query: format!("{{ {condition} }} | count_over_time() by ({name})"),
                dialect: Dialect::default(),
                grid,
                max_series: None,
                timeout: None,
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                return Ok(Values {
                    values: Vec::new(),
                    warning: Some(error.to_string()),
                });
            }
            Err(error) => return Err(error),
        };
        let mut values = BTreeSet::new();
        // A group without spans in the range says nothing about it.
        let counted = |series: &&Series| series.values.iter().any(|count| *count > 0.0);
        for series in answer.series.series.iter().filter(counted) {
            for label in series.labels.iter().filter(|label| label.name == name) {
                let nil = matches!(&label.value, LabelValue::String(text) if text == "nil");
                if !nil || matches!(attribute, Attribute::Key { .. }) {
                    values.insert(label.value.to_text());
                }
            }
        }
        let warning = answer.partial.map(|reason| reason.to_string());
        Ok(Values {
            values: values.into_iter().collect(),
            warning,
        })
    }
}

/// Services from the catalog, if every block lists its own and lies inside the range: a block that
/// reaches over its ends may have services only outside.
fn catalog_services(blocks: &[&BlockMeta], request: &NamesRequest) -> Option<Vec<String>> {
    let mut services = BTreeSet::new();
    for block in blocks {
        let inside = block.min_start_ns >= request.start_ns && block.max_start_ns <= request.end_ns;
        if !inside {
            return None;
        }
        services.extend(
            block
                .services
                .as_ref()?
                .iter()
                .filter(|name| !name.is_empty())
                .cloned(),
        );
    }
    Some(services.into_iter().collect())
}

/// The blocks of which some span may start in the range.
fn blocks<'a>(snapshots: &'a [Snapshot], request: &NamesRequest) -> Vec<&'a BlockMeta> {
    let overlaps = |block: &&BlockMeta| {
        block.min_start_ns <= request.end_ns && block.max_start_ns >= request.start_ns
    };
    let mut found = BTreeMap::new();
    for snapshot in snapshots {
        let stored = snapshot.manifest.blocks.iter().map(AsRef::as_ref);
        let live = snapshot.live.iter().map(|block| block.meta.as_ref());
        for block in stored.chain(live).filter(overlaps) {
            found.insert(block.block_id, block);
        }
    }
    found.into_values().collect()
}

const fn scope_of(scope: AttributeScope) -> Scope {
    match scope {
        AttributeScope::Resource => Scope::Resource,
        AttributeScope::Instrumentation => Scope::Instrumentation,
        AttributeScope::Span => Scope::Span,
        AttributeScope::Event => Scope::Event,
        AttributeScope::Link => Scope::Link,
    }
}

fn is_service_name(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Key { scope: Scope::Resource, of_parent: false, key } if key == "service.name"
    )
}

/// Whether the intrinsic is offered to people: not the parts of the nested-set model.
const fn is_listed(intrinsic: Intrinsic) -> bool {
    !matches!(
        intrinsic,
        Intrinsic::Parent
            | Intrinsic::NestedSetLeft
            | Intrinsic::NestedSetRight
            | Intrinsic::NestedSetParent
    )
}

/// Values known without looking: of closed sets all, of ids and times none worth listing.
const fn fixed_values(intrinsic: Intrinsic) -> Option<&'static [&'static str]> {
    match intrinsic {
        Intrinsic::Status => Some(&["error", "ok", "unset"]),
        Intrinsic::Kind => Some(&[
            "client",
            "consumer",
            "internal",
            "producer",
            "server",
            "unspecified",
        ]),
        Intrinsic::Duration
        | Intrinsic::SpanSelfTime
        | Intrinsic::TraceDuration
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::TraceId
        | Intrinsic::SpanId
        | Intrinsic::SpanParentId
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::Parent => Some(&[]),
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::SpanChildCount
        | Intrinsic::RootName
        | Intrinsic::RootServiceName
        | Intrinsic::EventName
        | Intrinsic::InstrumentationName
        | Intrinsic::InstrumentationVersion => None,
    }
}
