//! From a stream of spans to whole traces, ready for a program.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::error::Result;
use storage::schema::names;

use super::derive::Derived;
use super::relation::{Forest, Kinship};
use super::whole_traces::{TraceCutter, WholeTraces};
use crate::batch::named;

/// Which traces a query is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TraceWindow {
    /// Those with a span that starts in `(start, end]`, in the unit of the column.
    Starts {
        column: &'static str,
        start: i64,
        end: i64,
    },
    /// Those that were under way at some time of `[start, end]`, in ns.
    Overlaps { start: i64, end: i64 },
}

impl TraceWindow {
    /// The columns that decide it.
    pub(crate) fn columns(&self) -> Vec<&'static str> {
        match self {
            Self::Starts { column, .. } => vec![column],
            Self::Overlaps { .. } => vec![names::START_NS, names::TRACE_DURATION],
        }
    }
}

/// What is made of a stream of spans.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TraceShape {
    pub(crate) window: TraceWindow,
    pub(crate) derived: Derived,
    pub(crate) kinship: Kinship,
}

/// Some whole traces and their trees.
#[derive(Debug)]
pub(crate) struct Traces {
    /// The spans, with derived columns.
    pub(crate) batch: RecordBatch,
    /// Their trees; of traces alone where the query is not about structure.
    pub(crate) forest: Forest,
}

/// Makes whole traces of batches.
#[derive(Debug)]
pub(crate) struct TraceReader {
    shape: TraceShape,
    schema: SchemaRef,
    cutter: TraceCutter,
}

impl TraceShape {
    /// Columns that are needed besides those that expressions name.
    pub(crate) fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec![names::TRACE_ID];
        columns.extend(self.window.columns());
        columns.extend(self.kinship.columns());
        if !self.derived.is_empty() {
            columns.extend(Kinship::Parents.columns());
        }
        columns
    }

    fn forest(&self, batch: &RecordBatch, traces: Vec<u32>) -> Result<Forest> {
        if self.kinship == Kinship::None && self.derived.is_empty() {
            return Ok(Forest {
                traces,
                ..Forest::default()
            });
        }
        Forest::read(batch, traces, self.kinship)
    }
}

impl TraceReader {
    /// Reads spans of this schema.
    pub(crate) fn try_new(shape: TraceShape, input: &SchemaRef) -> Result<Self> {
        Ok(Self {
            schema: shape.derived.schema(input)?,
            shape,
            cutter: TraceCutter::default(),
        })
    }

    /// Takes the next spans in stored order; gives the traces that are complete.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<Vec<Traces>> {
        let whole = self.cutter.push(batch)?;
        let traces = whole.into_iter().map(|whole| self.traces(whole));
        traces.filter_map(Result::transpose).collect()
    }

    /// The last trace.
    pub(crate) fn finish(&mut self) -> Result<Option<Traces>> {
        match self.cutter.finish()? {
            Some(whole) => self.traces(whole),
            None => Ok(None),
        }
    }

    /// The columns of what is read, derived ones included.
    pub(crate) const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Bytes held between batches, about.
    pub(crate) fn bytes(&self) -> usize {
        self.cutter.bytes()
    }

    fn traces(&self, whole: WholeTraces) -> Result<Option<Traces>> {
        let Some(WholeTraces { batch, traces }) = in_window(whole, self.shape.window)? else {
            return Ok(None);
        };
        let forest = self.shape.forest(&batch, traces)?;
        let batch = if self.shape.derived.is_empty() {
            batch
        } else {
            self.shape.derived.append(&batch, &forest, &self.schema)?
        };
        Ok(Some(Traces { batch, forest }))
    }
}

/// The traces that lie in the window. Nothing is evaluated on others, so that what they hold cannot
/// make a query fail.
fn in_window(whole: WholeTraces, window: TraceWindow) -> Result<Option<WholeTraces>> {
    let WholeTraces { batch, traces } = whole;
    let runs = || {
        traces
            .windows(2)
            .map(|rows| rows[0] as usize..rows[1] as usize)
    };
    let inside: Vec<bool> = match window {
        TraceWindow::Starts {
            column: name,
            start,
            end,
        } => {
            let times = named(&batch, name)?;
            let times = times.as_primitive::<Int64Type>().values();
            let is_inside = |&time: &i64| time > start && time <= end;
            runs()
                .map(|rows| times[rows].iter().any(is_inside))
                .collect()
        }
        TraceWindow::Overlaps { start, end } => {
            let times = named(&batch, names::START_NS)?;
            let durations = named(&batch, names::TRACE_DURATION)?;
            let times = times.as_primitive::<Int64Type>().values();
            let durations = durations.as_primitive::<Int64Type>().values();
            let is_inside = |rows: std::ops::Range<usize>| {
                let duration = durations[rows.start];
                let first = times[rows].iter().copied().min().unwrap_or(i64::MAX);
                first <= end && first.saturating_add(duration) >= start
            };
            runs().map(is_inside).collect()
        }
    };
    if inside.iter().all(|&inside| inside) {
        return Ok(Some(WholeTraces { batch, traces }));
    }
    if !inside.contains(&true) {
        return Ok(None);
    }
    let mut kept = vec![false; batch.num_rows()];
    let mut starts = vec![0];
    let mut rows_kept = 0;
    for (rows, _) in runs().zip(&inside).filter(|(_, inside)| **inside) {
        rows_kept += super::relation::row(rows.len());
        starts.push(rows_kept);
        kept[rows].fill(true);
    }
    let batch = filter_record_batch(&batch, &BooleanArray::from(kept))?;
    Ok(Some(WholeTraces {
        batch,
        traces: starts,
    }))
}
