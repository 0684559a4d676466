//! Which names can be queried. The catalog lists them, so no block is read.

use std::collections::{BTreeMap, BTreeSet};

use engine::search::{SearchPlan, SearchWindow};
use engine::{PruneReason, prune_search};
use storage::block::meta::AttributeScope;
use storage::ids::TenantId;
use storage::snapshot::Snapshot;
use traceql::ast::{Attribute, Intrinsic, Scope};

use crate::blocks::{Block, survivors};
use crate::error::QueryError;
use crate::filter::usable_filter;
use crate::query::Frontend;
use crate::stats::QueryStats;

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

/// Whose spans, and when they start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesRequest {
    /// Whose spans.
    pub tenants: Vec<TenantId>,
    /// Earliest span start, ns since the epoch.
    pub start_ns: i64,
    /// Latest span start, ns since the epoch.
    pub end_ns: i64,
    /// A spanset filter that the spans should pass. What of it cannot be used is passed over, because
    /// people are asked for names and values while they write it.
    pub filter: Option<String>,
}

/// Keys of attributes by their scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttributeNames {
    /// The keys, without scope.
    pub by_scope: BTreeMap<AttributeScope, BTreeSet<String>>,
    /// What it took.
    pub stats: QueryStats,
}

impl Frontend {
    /// The keys that occur in the blocks that may have matching spans: each is on some span of such a
    /// block, which need not be one that matches.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub async fn attribute_names(
        &self,
        request: &NamesRequest,
    ) -> Result<AttributeNames, QueryError> {
        let snapshots = self.snapshots(&request.tenants).await?;
        let (blocks, stats) = request.blocks(&snapshots);
        let mut by_scope: BTreeMap<AttributeScope, BTreeSet<String>> = BTreeMap::new();
        for block in blocks {
            for attribute in &block.meta().attributes {
                let keys = by_scope.entry(attribute.scope).or_default();
                if !keys.contains(&attribute.key) {
                    keys.insert(attribute.key.clone());
                }
            }
        }
        Ok(AttributeNames { by_scope, stats })
    }

    /// Every name that a query can use, ordered: intrinsics, and attributes with their scope.
    ///
    /// # Errors
    /// As for [`Self::attribute_names`].
    pub async fn names(&self, request: &NamesRequest) -> Result<Vec<String>, QueryError> {
        let attributes = self.attribute_names(request).await?.by_scope;
        let attributes = attributes.into_iter().flat_map(|(scope, keys)| {
            keys.into_iter().map(move |key| Attribute::Key {
                scope: scope_of(scope),
                of_parent: false,
                key,
            })
        });
        let intrinsics = Intrinsic::ALL
            .into_iter()
            .filter(|intrinsic| is_listed(*intrinsic))
            .map(Attribute::of_span);
        let names: BTreeSet<String> = intrinsics
            .chain(attributes)
            .map(|name| name.canonical())
            .collect();
        Ok(names.into_iter().collect())
    }
}

impl NamesRequest {
    /// The blocks that may have matching spans, and what was ruled out.
    pub(crate) fn blocks(&self, snapshots: &[Snapshot]) -> (Vec<Block>, QueryStats) {
        let filter = self.filter.as_deref().and_then(usable_filter);
        let filter = filter.and_then(|query| SearchPlan::analyse(&query).ok());
        let window = SearchWindow {
            start_ns: self.start_ns,
            end_ns: self.end_ns,
        };
        survivors(snapshots, |block| {
            if block.min_start_ns > self.end_ns || block.max_start_ns < self.start_ns {
                return Some(PruneReason::Time);
            }
            let filter = filter.as_ref()?;
            prune_search(filter, window, block).err()
        })
    }
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
