//! The newest matching traces of a stream of traces.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use storage::ids::{SpanId, TraceId};
use storage::schema::names;

use super::result::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch};
use crate::batch::named;
use crate::lower::value::status_code;
use crate::plan::SearchLimits;
use crate::series::AttributeValue;
use crate::show::Show;
use crate::spanset::partition::Partition;
use crate::spanset::relation::{NONE, row};
use crate::spanset::traces::Traces;

/// Collects matching traces.
pub(crate) struct MatchCollector {
    pub(crate) limits: SearchLimits,
    pub(crate) show: Show,
    pub(crate) shows_name: bool,
    /// `service.name` of a span.
    pub(crate) service: Arc<dyn PhysicalExpr>,
    /// The newest so far, the oldest of them on top.
    pub(crate) newest: BinaryHeap<Oldest>,
}

/// A match in a heap that has the oldest on top.
#[derive(Debug)]
pub(crate) struct Oldest(pub(crate) TraceMatch);

impl PartialEq for Oldest {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Oldest {}

impl PartialOrd for Oldest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Oldest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.newest_first(&other.0)
    }
}

/// The columns of a batch that every answer needs.
struct MatchColumns {
    trace_id: ArrayRef,
    span_id: ArrayRef,
    start_ns: ArrayRef,
    duration: ArrayRef,
    trace_duration: ArrayRef,
    root_name: ArrayRef,
    root_service_name: ArrayRef,
    status: ArrayRef,
    /// Only where spans are shown with it.
    name: Option<ArrayRef>,
}

/// Columns of every answer, besides those that a query names.
pub(crate) const COLUMNS: &[&str] = &[
    names::TRACE_ID,
    names::SPAN_ID,
    names::START_NS,
    names::DURATION,
    names::TRACE_DURATION,
    names::ROOT_NAME,
    names::ROOT_SERVICE_NAME,
    names::STATUS,
];

impl MatchCollector {
    /// Takes the matches among some traces.
    pub(crate) fn add(&mut self, traces: &Traces, partition: &Partition) -> Result<()> {
        let columns = MatchColumns::of(&traces.batch, self.shows_name)?;
        let mut candidates: Vec<(i64, TraceId, std::ops::Range<usize>)> = Vec::new();
        for bounds in traces.forest.traces.windows(2) {
            let rows = bounds[0] as usize..bounds[1] as usize;
            if partition.of_row[rows.clone()]
                .iter()
                .all(|&spanset| spanset == NONE)
            {
                continue;
            }
            let start = columns.first_start(rows.clone());
            candidates.push((start, columns.trace_id(rows.start), rows));
        }
        // Only what can be among the newest is worth putting together.
        candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        candidates.truncate(self.limits.traces);
        for (start, id, rows) in candidates {
            if self.newest.len() >= self.limits.traces {
                let oldest = self.newest.peek().map(|oldest| &oldest.0);
                let is_newer = |held: &TraceMatch| (held.start_ns, id) < (start, held.trace_id);
                if !oldest.is_some_and(is_newer) {
                    break;
                }
                self.newest.pop();
            }
            let found = self.trace(traces, partition, &columns, start, id, rows)?;
            self.newest.push(Oldest(found));
        }
        Ok(())
    }

    fn trace(
        &self,
        traces: &Traces,
        partition: &Partition,
        columns: &MatchColumns,
        start_ns: i64,
        trace_id: TraceId,
        rows: std::ops::Range<usize>,
    ) -> Result<TraceMatch> {
        let mut spansets: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut places = hashbrown::HashMap::new();
        for at in rows.clone() {
            let spanset = partition.of_row[at];
            if spanset == NONE {
                continue;
            }
            let place = *places.entry(spanset).or_insert_with(|| {
                spansets.push((spanset, Vec::new()));
                spansets.len() - 1
            });
            spansets[place].1.push(row(at));
        }
        let spansets = spansets.into_iter().map(|(spanset, rows)| {
            let attributes = &partition.spansets[spanset as usize].attributes;
            let attributes = attributes.iter();
            let attributes = attributes.map(|(name, value)| (name.to_string(), value.clone()));
            let attributes = attributes.collect();
            self.spanset(traces, columns, attributes, rows)
        });
        let batch = traces.batch.slice(rows.start, rows.len());
        Ok(TraceMatch {
            trace_id,
            root_service_name: text(&columns.root_service_name, rows.start)?,
            root_name: text(&columns.root_name, rows.start)?,
            start_ns,
            duration_ns: integer(&columns.trace_duration, rows.start),
            services: self.services(&batch, &columns.status.slice(rows.start, rows.len()))?,
            spansets: spansets.collect::<Result<_>>()?,
        })
    }

    fn spanset(
        &self,
        traces: &Traces,
        columns: &MatchColumns,
        attributes: Vec<(String, AttributeValue)>,
        mut rows: Vec<u32>,
    ) -> Result<SpansetMatch> {
        let matched = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let order = |&at: &u32| {
            let at = at as usize;
            (integer(&columns.start_ns, at), columns.span_id(at))
        };
        rows.sort_by_key(order);
        rows.truncate(self.limits.spans_per_spanset);
        let shown = take_record_batch(&traces.batch, &UInt32Array::from(rows.clone()))?;
        let shown = self.show.rows(&shown)?;
        let span = |(at, attributes): (u32, Vec<(String, AttributeValue)>)| {
            let at = at as usize;
            let name = columns.name.as_ref().map(|names| text(names, at));
            Ok(SpanMatch {
                span_id: columns.span_id(at),
                start_ns: integer(&columns.start_ns, at),
                duration_ns: integer(&columns.duration, at),
                name: name.transpose()?,
                attributes,
            })
        };
        let spans = rows.into_iter().zip(shown).map(span);
        Ok(SpansetMatch {
            attributes,
            matched,
            spans: spans.collect::<Result<_>>()?,
        })
    }

    /// Spans and failed spans by service.
    fn services(
        &self,
        batch: &RecordBatch,
        status: &ArrayRef,
    ) -> Result<BTreeMap<String, ServiceStats>> {
        let services = self.service.evaluate(batch)?.into_array(batch.num_rows())?;
        let services = cast(&services, &DataType::Utf8)?;
        let services = services.as_string::<i32>();
        let status = status.as_primitive::<Int32Type>();
        let error = status_code(traceql::ast::Status::Error);
        let mut stats: BTreeMap<String, ServiceStats> = BTreeMap::new();
        for at in 0..batch.num_rows() {
            let service = if services.is_valid(at) {
                services.value(at)
            } else {
                ""
            };
            let failed = u64::from(status.value(at) == error);
            match stats.get_mut(service) {
                Some(stats) => {
                    stats.span_count += 1;
                    stats.error_count += failed;
                }
                None => {
                    let first = ServiceStats {
                        span_count: 1,
                        error_count: failed,
                    };
                    stats.insert(service.to_owned(), first);
                }
            }
        }
        Ok(stats)
    }
}

impl MatchColumns {
    fn of(batch: &RecordBatch, with_name: bool) -> Result<Self> {
        let column = |name: &str| named(batch, name).cloned();
        Ok(Self {
            trace_id: column(names::TRACE_ID)?,
            span_id: column(names::SPAN_ID)?,
            start_ns: column(names::START_NS)?,
            duration: column(names::DURATION)?,
            trace_duration: column(names::TRACE_DURATION)?,
            root_name: column(names::ROOT_NAME)?,
            root_service_name: column(names::ROOT_SERVICE_NAME)?,
            status: column(names::STATUS)?,
            name: with_name.then(|| column(names::NAME)).transpose()?,
        })
    }

    fn trace_id(&self, at: usize) -> TraceId {
        let mut id = TraceId([0; 16]);
        id.0.copy_from_slice(self.trace_id.as_fixed_size_binary().value(at));
        id
    }

    fn span_id(&self, at: usize) -> SpanId {
        let mut id = SpanId([0; 8]);
        id.0.copy_from_slice(self.span_id.as_fixed_size_binary().value(at));
        id
    }

    fn first_start(&self, rows: std::ops::Range<usize>) -> i64 {
        let starts = &self.start_ns.as_primitive::<Int64Type>().values()[rows];
        starts.iter().copied().min().unwrap_or_default()
    }
}

fn integer(column: &ArrayRef, at: usize) -> i64 {
    column.as_primitive::<Int64Type>().value(at)
}

/// One text of a column of texts or of a dictionary of such.
fn text(column: &ArrayRef, at: usize) -> Result<String> {
    let one = cast(&column.slice(at, 1), &DataType::Utf8)?;
    let one = one.as_string::<i32>();
    Ok(if one.is_valid(0) {
        one.value(0).to_owned()
    } else {
        String::new()
    })
}
