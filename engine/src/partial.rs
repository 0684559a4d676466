//! Mergeable results of jobs, and the series they become.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::DataFusionError;
use hashbrown::HashMap;
use traceql::ast::MetricsFunction;

use crate::aggregate::dense::Cells;
use crate::aggregate::histogram::bound;
use crate::aggregate::interval::IntervalCursor;
use crate::aggregate::rows::StateReader;
use crate::aggregate::{RangeState, new_state};
use crate::error::{EngineError, recover};
use crate::functions::group_key::{untag, untag_elements};
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::lower::value::Type;
use crate::lower::{KeyKind, state_kind};
use crate::plan::MetricsPlan;
use crate::series::{Label, LabelValue, Series, SeriesSet, apply_second_stages};

/// The aggregation states of the series that some spans make.
#[derive(Debug)]
pub struct PartialSeries {
    grid: Grid,
    limit: MemoryLimit,
    groups: HashMap<GroupKey, usize>,
    key_bytes: usize,
    /// Whether the group without any label is shown with its first label as `nil`.
    nil_is_shown: bool,
    state: Box<dyn RangeState>,
}

type GroupKey = Box<[KeyValue]>;

/// How absence is shown where a label cannot be left out.
const NIL: &str = "nil";

/// The value of one `by` attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyValue {
    /// Absent: the label is left out.
    Nil,
    /// Text; also `nil` for any array, which has no form as a label.
    String(Arc<str>),
    Int(i64),
    /// The bits of a float.
    Float(u64),
    Bool(bool),
    Duration(i64),
    Status(i64),
    Kind(i64),
}

impl PartialSeries {
    /// No series yet.
    pub(crate) fn new(plan: &MetricsPlan, grid: Grid, limit: MemoryLimit) -> Self {
        let cursor = IntervalCursor::new(grid.start_ns, grid.step_ns, grid.intervals);
        let state = new_state(state_kind(plan), cursor, grid.intervals, limit);
        let nil_is_shown = !has_own_label(&plan.aggregate.function);
        Self {
            grid,
            limit,
            groups: HashMap::new(),
            key_bytes: 0,
            nil_is_shown,
            state,
        }
    }

    /// Adds the result of a job: key columns, then the column of states.
    pub(crate) fn add_batch(
        &mut self,
        batch: &RecordBatch,
        keys: &[KeyKind],
    ) -> Result<(), EngineError> {
        let columns = keys
            .iter()
            .zip(batch.columns())
            .map(|(kind, column)| KeyColumn::try_new(*kind, column));
        let columns = columns
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| recover(error, self.limit))?;
        let states = batch.column(keys.len());
        let counted = StateReader::try_new(states).map_err(|error| recover(error, self.limit))?;
        let mut groups = Vec::with_capacity(batch.num_rows());
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            // Groups of spans outside the window only are no groups of the answer.
            if counted.is_empty(row) {
                continue;
            }
            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            let key = columns
                .iter()
                .map(|column| column.get(row))
                .collect::<Result<GroupKey, _>>()
                .map_err(|error| recover(error, self.limit))?;
            groups.push(self.group(key));
        }
        // Usually all are kept, and copying the lists would cost more than merging them.
        let kept = if rows.len() == batch.num_rows() {
            Arc::clone(states)
        } else {
            take(states, &UInt32Array::from(rows), None)
                .map_err(|error| EngineError::Internal(error.into()))?
        };
        self.state
            .absorb(&groups, &kept)
            .map_err(|error| recover(error, self.limit))?;
        self.check_memory()
    }

    /// Adds the states of other spans of the same query. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the merged states are larger than the query may hold.
    pub fn merge(&mut self, mut other: Self) -> Result<(), EngineError> {
        if self.groups.is_empty() {
            *self = other;
            return Ok(());
        }
        let mut groups = vec![0; other.groups.len()];
        for (key, index) in other.groups.drain() {
            groups[index] = self.group(key);
        }
        let states = other.state.take(groups.len());
        self.state
            .absorb(&groups, &states)
            .map_err(|error| recover(error, self.limit))?;
        self.check_memory()
    }

    /// Number of label sets.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    fn group(&mut self, mut key: GroupKey) -> usize {
        if self.nil_is_shown && key.iter().all(|value| *value == KeyValue::Nil) {
            // Shown as text, so the same series as that of the text.
            if let Some(first) = key.first_mut() {
                *first = KeyValue::String(NIL.into());
            }
        }
        let next = self.groups.len();
        let bytes = size_of::<(GroupKey, usize)>()
            + key
                .iter()
                .map(|value| size_of::<KeyValue>() + value.heap_bytes())
                .sum::<usize>();
        *self.groups.entry(key).or_insert_with(|| {
            self.key_bytes += bytes;
            next
        })
    }

    fn check_memory(&self) -> Result<(), EngineError> {
        let MemoryLimit {
            bytes: limit_bytes,
            key,
        } = self.limit;
        let held = u64::try_from(self.key_bytes + self.state.bytes()).unwrap_or(u64::MAX);
        if held > limit_bytes {
            Err(EngineError::MemoryLimit { limit_bytes, key })
        } else {
            Ok(())
        }
    }

    /// Makes the series, applies the second stages, and puts them in canonical order.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the series are larger than the query may hold.
    pub fn finish(mut self, plan: &MetricsPlan) -> Result<SeriesSet, EngineError> {
        let counts = matches!(
            plan.aggregate.function,
            MetricsFunction::Rate | MetricsFunction::CountOverTime
        );
        if counts && plan.aggregate.by.is_empty() && !plan.is_never() {
            // Nothing counted is a count of zero.
            self.group(GroupKey::default());
        }
        self.state
            .grow(self.groups.len())
            .map_err(|error| recover(error, self.limit))?;
        let mut finisher = Finisher {
            plan,
            intervals: usize::try_from(self.grid.intervals).unwrap_or(usize::MAX),
            step_seconds: self.grid.step_seconds(),
            scale: if plan.aggregates_duration() { 1e9 } else { 1.0 },
            limit: self.limit,
            series: Vec::new(),
        };
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_unstable_by_key(|(_, index)| **index);
        for (key, &index) in groups {
            finisher.group(base_labels(plan, key), self.state.cells(), index)?;
        }
        let mut set = SeriesSet {
            grid: self.grid,
            series: finisher.series,
        };
        set.series
            .retain(|series| series.values.iter().any(|value| !value.is_nan()));
        apply_second_stages(&mut set, &plan.second_stages);
        set.sort();
        Ok(set)
    }
}

impl KeyValue {
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len() + 16,
            _ => 0,
        }
    }

    /// The label's value; `None` where the label is left out.
    pub(crate) fn label(&self) -> Option<LabelValue> {
        let text = |text: &str| Some(LabelValue::String(text.to_owned()));
        match self {
            Self::Nil => None,
            Self::String(value) => text(value),
            Self::Int(value) => Some(LabelValue::Int(*value)),
            Self::Float(bits) => Some(LabelValue::Float(f64::from_bits(*bits))),
            Self::Bool(value) => Some(LabelValue::Bool(*value)),
            Self::Duration(ns) => Some(LabelValue::String(traceql::format_go_duration(*ns))),
            Self::Status(code) => text(match code {
                1 => "ok",
                2 => "error",
                _ => "unset",
            }),
            Self::Kind(number) => text(match number {
                1 => "internal",
                2 => "server",
                3 => "client",
                4 => "producer",
                5 => "consumer",
                _ => "unspecified",
            }),
        }
    }

    /// The value where absence is shown, too.
    pub(crate) fn label_or_nil(&self) -> LabelValue {
        self.label()
            .unwrap_or_else(|| LabelValue::String(NIL.to_owned()))
    }

    /// The value of a tagged key.
    fn untag(key: &str) -> Result<Self, DataFusionError> {
        let (value_type, text) = untag(key)?;
        let number = || {
            let malformed = |_| DataFusionError::Internal(format!("malformed group key {key:?}"));
            text.parse::<i64>().map_err(malformed)
        };
        Ok(match value_type {
            Type::String => Self::String(text.into()),
            Type::Bool => Self::Bool(text == "true"),
            Type::Float => Self::float(text.parse().unwrap_or(f64::NAN)),
            Type::StringArray | Type::IntArray | Type::FloatArray | Type::BoolArray => Self::array(),
            _ => Self::typed(value_type, number()?),
        })
    }

    /// What every array is shown as.
    pub(crate) fn array() -> Self {
        Self::String(NIL.into())
    }

    fn typed(value_type: Type, number: i64) -> Self {
        match value_type {
            Type::Duration => Self::Duration(number),
            // Numbers that OTLP gives no name are one group with what they are shown as.
            Type::Status => Self::Status(if (1..=2).contains(&number) { number } else { 0 }),
            Type::Kind => Self::Kind(if (1..=5).contains(&number) { number } else { 0 }),
            _ => Self::Int(number),
        }
    }

    pub(crate) fn float(value: f64) -> Self {
        Self::Float(if value == 0.0 { 0 } else { value.to_bits() })
    }
}

/// A key column of a job's result, cast to what it is read as.
pub(crate) struct KeyColumn {
    kind: KeyKind,
    array: ArrayRef,
}

impl KeyColumn {
    pub(crate) fn try_new(kind: KeyKind, array: &ArrayRef) -> Result<Self, DataFusionError> {
        let read_as = match kind {
            KeyKind::Nil => {
                return Ok(Self {
                    kind,
                    array: Arc::clone(array),
                });
            }
            KeyKind::Tagged | KeyKind::Typed(Type::String) => DataType::Utf8,
            KeyKind::Typed(Type::Float) => DataType::Float64,
            KeyKind::Typed(Type::Bool) => DataType::Boolean,
            KeyKind::Typed(_) => DataType::Int64,
        };
        Ok(Self {
            kind,
            array: cast(array, &read_as)?,
        })
    }

    pub(crate) fn get(&self, row: usize) -> Result<KeyValue, DataFusionError> {
        let array = &self.array;
        if self.kind == KeyKind::Nil || array.is_null(row) {
            return Ok(KeyValue::Nil);
        }
        Ok(match self.kind {
            KeyKind::Nil => KeyValue::Nil,
            KeyKind::Typed(Type::String) => {
                KeyValue::String(array.as_string::<i32>().value(row).into())
            }
            KeyKind::Typed(Type::Float) => {
                KeyValue::float(array.as_primitive::<Float64Type>().value(row))
            }
            KeyKind::Typed(Type::Bool) => KeyValue::Bool(array.as_boolean().value(row)),
            KeyKind::Typed(value_type) => {
                KeyValue::typed(value_type, array.as_primitive::<Int64Type>().value(row))
            }
            KeyKind::Tagged => KeyValue::untag(array.as_string::<i32>().value(row))?,
        })
    }

    /// The elements of an array that was told from others by them.
    pub(crate) fn elements(&self, row: usize) -> Result<Option<Vec<KeyValue>>, DataFusionError> {
        if self.kind != KeyKind::Tagged || self.array.is_null(row) {
            return Ok(None);
        }
        let (value_type, text) = untag(self.array.as_string::<i32>().value(row))?;
        if value_type.element().is_none() {
            return Ok(None);
        }
        let elements = untag_elements(text)?.into_iter().map(KeyValue::untag);
        elements.collect::<Result<_, _>>().map(Some)
    }
}

/// The labels that a group's series share.
fn base_labels(plan: &MetricsPlan, key: &[KeyValue]) -> Vec<Label> {
    let names = plan.aggregate.by.iter().map(|by| by.attribute.canonical());
    let mut labels: Vec<Label> = names
        .zip(key)
        .filter_map(|(name, value)| value.label().map(|value| Label { name, value }))
        .collect();
    if plan.aggregate.by.is_empty() && !has_own_label(&plan.aggregate.function) {
        let value = LabelValue::String(plan.aggregate.function.as_str().to_owned());
        labels.push(Label {
            name: "__name__".to_owned(),
            value,
        });
    }
    labels
}

/// Whether a function's series have a label besides those of their group.
const fn has_own_label(function: &MetricsFunction) -> bool {
    matches!(
        function,
        MetricsFunction::QuantileOverTime { .. } | MetricsFunction::HistogramOverTime
    )
}

/// Makes series of states.
struct Finisher<'a> {
    plan: &'a MetricsPlan,
    intervals: usize,
    step_seconds: f64,
    scale: f64,
    limit: MemoryLimit,
    series: Vec<Series>,
}

impl Finisher<'_> {
    fn group(
        &mut self,
        labels: Vec<Label>,
        cells: Cells<'_>,
        index: usize,
    ) -> Result<(), EngineError> {
        let range = index * self.intervals..(index + 1) * self.intervals;
        match cells {
            Cells::Count(cells) => self.push(
                labels,
                cells[range].iter().map(|cell| self.count(cell.0)).collect(),
            ),
            Cells::Min(cells) => {
                let values = cells[range]
                    .iter()
                    .map(|cell| self.scaled(cell, cell.value.value()))
                    .collect();
                self.push(labels, values)
            }
            Cells::Max(cells) => {
                let values = cells[range]
                    .iter()
                    .map(|cell| self.scaled(cell, cell.value.value()))
                    .collect();
                self.push(labels, values)
            }
            Cells::Sum(cells) => {
                let average = matches!(self.plan.aggregate.function, MetricsFunction::AvgOverTime);
                let values = cells[range].iter().map(|cell| {
                    let sum = cell.sum.value();
                    self.scaled(
                        cell,
                        if average {
                            sum / as_float(cell.count)
                        } else {
                            sum
                        },
                    )
                });
                let values = values.collect();
                self.push(labels, values)
            }
            Cells::Sketch(cells) => {
                self.quantiles(&labels, &cells[range], |cell, q| cell.quantile(q))
            }
            Cells::Log2(cells) => match self.plan.aggregate.function {
                MetricsFunction::HistogramOverTime => self.histogram(&labels, &cells[range]),
                _ => self.quantiles(&labels, &cells[range], |cell, q| cell.quantile(q)),
            },
        }
    }

    fn count(&self, count: u64) -> f64 {
        let count = as_float(count);
        match self.plan.aggregate.function {
            MetricsFunction::Rate => count * (1.0 / self.step_seconds),
            _ => count,
        }
    }

    fn scaled(&self, cell: &impl crate::aggregate::cell::Cell, value: f64) -> f64 {
        if cell.is_empty() {
            f64::NAN
        } else {
            value / self.scale
        }
    }

    fn quantiles<C: crate::aggregate::cell::Cell>(
        &mut self,
        labels: &[Label],
        cells: &[C],
        quantile: impl Fn(&C, f64) -> Option<f64>,
    ) -> Result<(), EngineError> {
        let MetricsFunction::QuantileOverTime { quantiles } = &self.plan.aggregate.function else {
            return Ok(());
        };
        if cells.iter().all(crate::aggregate::cell::Cell::is_empty) {
            return Ok(());
        }
        for (index, &q) in quantiles.iter().enumerate() {
            // Written twice, it is still one series.
            if quantiles[..index]
                .iter()
                .any(|before| before.to_bits() == q.to_bits())
            {
                continue;
            }
            let mut labels = labels.to_vec();
            labels.push(Label {
                name: "p".to_owned(),
                value: LabelValue::Float(q),
            });
            let values = cells
                .iter()
                .map(|cell| quantile(cell, q).map_or(0.0, |value| value / self.scale))
                .collect();
            self.push(labels, values)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        labels: &[Label],
        cells: &[crate::aggregate::histogram::Log2Histogram],
    ) -> Result<(), EngineError> {
        let buckets: BTreeSet<i32> = cells
            .iter()
            .flat_map(|cell| cell.buckets().map(|(bucket, _)| bucket))
            .collect();
        for bucket in buckets {
            let mut labels = labels.to_vec();
            let upper = LabelValue::Float(bound(bucket) / self.scale);
            labels.push(Label {
                name: "__bucket".to_owned(),
                value: upper,
            });
            let values = cells
                .iter()
                .map(|cell| as_float(cell.count(bucket)))
                .collect();
            self.push(labels, values)?;
        }
        Ok(())
    }

    fn push(&mut self, labels: Vec<Label>, values: Vec<f64>) -> Result<(), EngineError> {
        self.series.push(Series { labels, values });
        let MemoryLimit {
            bytes: limit_bytes,
            key,
        } = self.limit;
        let held = self
            .series
            .len()
            .saturating_mul(self.intervals)
            .saturating_mul(size_of::<f64>());
        if u64::try_from(held).is_ok_and(|held| held <= limit_bytes) {
            Ok(())
        } else {
            Err(EngineError::MemoryLimit { limit_bytes, key })
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}
