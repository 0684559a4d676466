//! Which values a name has.
//!
//! Without a filter they come from dictionaries and columns of values, without running a query. With
//! one they are the groups of a query over the spans that pass it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use engine::{EngineError, LabelValue, Series, Work};
use futures::{StreamExt, TryStreamExt, stream};
use storage::block::meta::AttributeScope;
use storage::block::{Value, ValueLimits, ValueSet, ValueSource};
use storage::snapshot::Snapshot;
use traceql::Dialect;
use traceql::ast::{Attribute, Query};

use crate::answer::RangeRequest;
use crate::blocks::Block;
use crate::error::QueryError;
use crate::filter::usable_filter;
use crate::names::NamesRequest;
use crate::query::Frontend;
use crate::snapshots::SecondLook;
use crate::stats::QueryStats;
use crate::typed_value::typed;
use crate::value_sources::{known_values, sources};
use crate::workers::Workers;

pub use crate::typed_value::{TypedValue, ValueType};

/// Distinct values of a name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// The values, ordered by type, then by value.
    pub values: Vec<TypedValue>,
    /// What finding the values took.
    pub stats: QueryStats,
    /// Why there may be more values.
    pub partial: Option<String>,
}

impl Frontend {
    /// The limits that the configuration sets.
    #[must_use]
    pub fn value_limits(&self) -> ValueLimits {
        let read = &self.config().overrides.defaults.read;
        ValueLimits {
            bytes: match read.max_bytes_per_tag_values_query {
                0 => usize::MAX,
                limit => limit,
            },
            ..ValueLimits::NONE
        }
    }

    /// The values that a name has on the spans of a request.
    ///
    /// # Errors
    /// As for a query.
    pub async fn values(
        &self,
        request: &NamesRequest,
        name: &Attribute,
        limits: ValueLimits,
    ) -> Result<Values, QueryError> {
        if let Attribute::Intrinsic { intrinsic, .. } = name
            && let Some(words) = known_values(*intrinsic)
        {
            let keyword = |word: &&str| TypedValue {
                value_type: ValueType::Keyword,
                text: (*word).to_owned(),
            };
            return Ok(Values {
                values: words.iter().map(keyword).collect(),
                ..Values::default()
            });
        }
        let filter = request.filter.as_deref().and_then(usable_filter);
        match (filter, sources(name)) {
            (None, Some(sources)) => {
                let reading = self.read_all(request, name, &sources, limits);
                self.within_deadline(None, reading).await
            }
            (filter, _) => self.query_values(request, name, filter, limits).await,
        }
    }

    /// Reads the values out of dictionaries and columns.
    async fn read_all(
        &self,
        request: &NamesRequest,
        name: &Attribute,
        sources: &[ValueSource],
        limits: ValueLimits,
    ) -> Result<Values, QueryError> {
        let start = self.instant();
        let _turn = self.enter(&request.tenants).await?;
        let mut second = SecondLook::default();
        let mut values = loop {
            let snapshots = self.snapshots(&request.tenants, request.times()).await?;
            let read = self.read_all_in(request, name, sources, limits, &snapshots);
            match read.await {
                Err(error) if second.helps(&error) => {}
                read => break read?,
            }
        };
        values.stats.elapsed = self.instant() - start;
        self.count(&values.stats);
        Ok(values)
    }

    /// The same of what the spans are at one moment.
    async fn read_all_in(
        &self,
        request: &NamesRequest,
        name: &Attribute,
        sources: &[ValueSource],
        limits: ValueLimits,
        snapshots: &[Snapshot],
    ) -> Result<Values, QueryError> {
        let (mut blocks, mut stats) = request.blocks(snapshots);
        // Where there is room for some values only, they are those in use now.
        blocks.sort_by_key(|block| {
            std::cmp::Reverse((block.meta().max_start_ns, block.meta().block_id))
        });
        let workers = self.workers(&request.tenants, 0)?;
        let parts: Vec<(Block, ValueSource)> = blocks
            .iter()
            .flat_map(|block| sources.iter().map(|source| (block.clone(), source.clone())))
            .collect();
        stats.jobs_total = parts.len() as u64;
        let starts = request.start_ns..=request.end_ns;
        let sets = stream::iter(parts)
            .map(|(block, source)| read_block(&workers, block, source, starts.clone(), limits))
            .buffered(workers.options.concurrent_jobs);
        let mut sets = std::pin::pin!(sets);
        let mut whole = ValueSet::new(limits);
        while !whole.is_full()
            && let Some(set) = sets.try_next().await?
        {
            whole.merge(set);
            stats.jobs_completed += 1;
        }
        let partial = whole.is_full().then(|| self.why_partial(limits));
        stats.set_reads(&workers.context.counters);
        Ok(Values {
            values: typed(whole, name),
            stats,
            partial,
        })
    }

    /// Asks for the groups that the name makes.
    async fn query_values(
        &self,
        request: &NamesRequest,
        name: &Attribute,
        filter: Option<Query>,
        limits: ValueLimits,
    ) -> Result<Values, QueryError> {
        let snapshots = self.snapshots(&request.tenants, request.times()).await?;
        let (blocks, _) = request.blocks(&snapshots);
        let Some(grid) = request.grid(&blocks) else {
            return Ok(Values::default());
        };
        drop((blocks, snapshots));
        let name_text = name.canonical();
        let filter = filter.map_or_else(String::new, |filter| format!("{filter} | "));
        let answer = self
            .query_range(&RangeRequest {
                tenants: request.tenants.clone(),
                query: format!(
                    "{filter}{{ {name_text} != nil }} | count_over_time() by ({name_text})"
                ),
                dialect: Dialect::default(),
                grid,
                max_series: None,
                exemplars: 0,
                timeout: None,
            })
            .await?;
        let mut set = ValueSet::new(limits);
        // A group without spans in the range says nothing about it.
        let counted = |series: &&Series| series.values.iter().any(|count| count > 0.0);
        for series in answer
            .series
            .series
            .into_iter()
            .filter(|series| counted(&series))
        {
            let labels = series.labels.into_iter();
            for label in labels.filter(|label| *label.name == name_text) {
                set.insert(match label.value {
                    LabelValue::String(text) => Value::String(text.into()),
                    LabelValue::Int(value) => Value::Int(value),
                    LabelValue::Float(value) => Value::Double(value),
                    LabelValue::Bool(value) => Value::Bool(value),
                });
            }
        }
        let partial = answer.partial.map(|reason| reason.to_string());
        Ok(Values {
            partial: partial.or_else(|| set.is_full().then(|| self.why_partial(limits))),
            values: typed(set, name),
            stats: answer.stats,
        })
    }

    fn why_partial(&self, limits: ValueLimits) -> String {
        let bytes = self
            .config()
            .overrides
            .defaults
            .read
            .max_bytes_per_tag_values_query;
        if limits.values == usize::MAX && limits.stale == usize::MAX {
            format!(
                "there are more than {bytes} bytes of values, further values are left out \
                 (overrides.defaults.read.max_bytes_per_tag_values_query)"
            )
        } else {
            format!(
                "a limit on values is reached, further values are left out (limit, maxStaleValues, \
                 or {bytes} bytes by overrides.defaults.read.max_bytes_per_tag_values_query)"
            )
        }
    }
}

/// The values of one block.
async fn read_block(
    workers: &Workers,
    block: Block,
    source: ValueSource,
    starts: RangeInclusive<i64>,
    limits: ValueLimits,
) -> Result<ValueSet, EngineError> {
    if let Some(services) = listed_services(&block, &source, &starts) {
        let mut set = ValueSet::new(limits);
        services
            .iter()
            .for_each(|name| set.insert(Value::String(name.to_string())));
        return Ok(set);
    }
    let work = Work::Values {
        source,
        starts,
        limits,
    };
    workers.run(&work, block.whole()).await
}

/// The services that the catalog lists, if it lists those of the block, and all of its spans count.
fn listed_services<'a>(
    block: &'a Block,
    source: &ValueSource,
    starts: &RangeInclusive<i64>,
) -> Option<&'a [Arc<str>]> {
    let is_service = matches!(
        source,
        ValueSource::Attribute { scope: AttributeScope::Resource, key } if key == "service.name"
    );
    let meta = block.meta();
    let is_inside = starts.contains(&meta.min_start_ns) && starts.contains(&meta.max_start_ns);
    let services = meta
        .services
        .as_deref()
        .filter(|_| is_service && is_inside)?;
    Some(services)
}
