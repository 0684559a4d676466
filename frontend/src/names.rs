//! Which names can be queried.
//!
//! The catalog lists them, so without a filter no block is read. With one, the names are those that a
//! comparison of the spans which pass it has series for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use engine::search::{SearchPlan, SearchWindow};
use engine::{Grid, PruneReason, prune_search};
use storage::block::meta::AttributeScope;
use storage::ids::TenantId;
use storage::snapshot::{Snapshot, Times};
use traceql::Dialect;
use traceql::ast::{Attribute, Intrinsic, Query, Scope};

use crate::answer::RangeRequest;
use crate::blocks::{Block, survivors};
use crate::error::{ErrorKind, QueryError};
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

/// A request for the names, or the values of a name, that some spans have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamesRequest {
    /// The tenants whose spans these are.
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
    /// The keys of each scope, without it.
    pub by_scope: BTreeMap<AttributeScope, BTreeSet<String>>,
    /// What finding the keys took.
    pub stats: QueryStats,
}

impl Frontend {
    /// The keys of attributes that matching spans have.
    ///
    /// Keys of events and links, which a filter selects no single ones of, are those of the blocks that
    /// may have matching spans; so are all keys where there are more than an answer may have series, or
    /// than a query may hold.
    ///
    /// # Errors
    /// As for a query.
    pub async fn attribute_names(
        &self,
        request: &NamesRequest,
    ) -> Result<AttributeNames, QueryError> {
        let snapshots = self.snapshots(&request.tenants, request.times()).await?;
        let (blocks, mut stats) = request.blocks(&snapshots);
        let mut by_scope: BTreeMap<AttributeScope, BTreeSet<String>> = BTreeMap::new();
        for block in &blocks {
            for attribute in &block.meta().attributes {
                let keys = by_scope.entry(attribute.scope).or_default();
                if !keys.contains(&*attribute.key) {
                    keys.insert(attribute.key.to_string());
                }
            }
        }
        let grid = request.grid(&blocks);
        drop((blocks, snapshots));
        let filter = request.filter.as_deref().and_then(usable_filter);
        if let (Some(filter), Some(grid)) = (filter, grid)
            && let Some((found, spent)) = self.names_of_spans(request, &filter, grid).await?
        {
            stats = spent;
            for (&scope, keys) in &mut by_scope {
                if !matches!(scope, AttributeScope::Event | AttributeScope::Link) {
                    keys.retain(|key| found.contains(&canonical(scope, key)));
                }
            }
            by_scope.retain(|_, keys| !keys.is_empty());
        }
        Ok(AttributeNames { by_scope, stats })
    }

    /// The names of the attributes that spans which pass a filter have, if there are not too many.
    async fn names_of_spans(
        &self,
        request: &NamesRequest,
        filter: &Query,
        grid: Grid,
    ) -> Result<Option<(HashSet<String>, QueryStats)>, QueryError> {
        let answer = self
            .query_range(&RangeRequest {
                tenants: request.tenants.clone(),
                query: format!("{filter} | compare({{ true }}, 1)"),
                dialect: Dialect::default(),
                grid,
                max_series: None,
                exemplars: 0,
                timeout: None,
            })
            .await;
        let answer = match answer {
            Ok(answer) if answer.partial.is_some() => return Ok(None),
            Ok(answer) => answer,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::Execution | ErrorKind::LimitExceeded => Ok(None),
                    _ => Err(error),
                };
            }
        };
        let labels = answer.series.series.into_iter().flat_map(|s| s.labels);
        Ok(Some((
            labels.map(|label| label.name.to_string()).collect(),
            answer.stats,
        )))
    }

    /// Every name that a query can use, ordered: intrinsics, and attributes with their scope.
    ///
    /// # Errors
    /// As for [`Self::attribute_names`].
    pub async fn names(&self, request: &NamesRequest) -> Result<Vec<String>, QueryError> {
        let attributes = self.attribute_names(request).await?.by_scope;
        let attributes = attributes
            .into_iter()
            .flat_map(|(scope, keys)| keys.into_iter().map(move |key| canonical(scope, &key)));
        let intrinsics = Intrinsic::ALL
            .into_iter()
            .filter(|intrinsic| is_listed(*intrinsic))
            .map(|intrinsic| Attribute::of_span(intrinsic).canonical());
        let names: BTreeSet<String> = intrinsics.chain(attributes).collect();
        Ok(names.into_iter().collect())
    }
}

impl NamesRequest {
    /// The blocks that are looked at.
    pub(crate) fn times(&self) -> Times {
        Times::of(self.start_ns..=self.end_ns)
    }

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

    /// The request's range as one interval, if some of these blocks have spans in it.
    pub(crate) fn grid(&self, blocks: &[Block]) -> Option<Grid> {
        // An open end of the range means the end of the data.
        let first = blocks.iter().map(|block| block.meta().min_start_ns).min()?;
        let last = blocks.iter().map(|block| block.meta().max_start_ns).max()?;
        let start_ns = self.start_ns.max(first).saturating_sub(1);
        Grid::instant(start_ns, self.end_ns.min(last))
    }
}

/// The name of an attribute as a query writes it.
fn canonical(scope: AttributeScope, key: &str) -> String {
    let attribute = Attribute::Key {
        scope: scope_of(scope),
        of_parent: false,
        key: key.to_owned(),
    };
    attribute.canonical()
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
