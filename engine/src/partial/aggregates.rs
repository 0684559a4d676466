//! The states of one aggregate, and the series they become.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use hashbrown::HashMap;
use smallvec::SmallVec;
use traceql::ast::{MetricsAggregate, MetricsFunction};

use super::key::{KeyColumn, KeyValue, NIL};
use super::top::Top;
use crate::aggregate::cell::{Cell, CountCell, ExtremeCell, SumCell};
use crate::aggregate::histogram::{Log2Histogram, bound};
use crate::aggregate::interval::IntervalCursor;
use crate::aggregate::sketch::Sketch;
use crate::aggregate::states::{Cells, Matrix};
use crate::aggregate::{RangeState, new_state};
use crate::error::{EngineError, recover};
use crate::grid::{Grid, Placement};
use crate::limit::MemoryLimit;
use crate::lower::{KeyKind, state_kind};
use crate::physical::Groups;
use crate::plan::MetricsPlan;
use crate::series::{Label, LabelValue, Series, SeriesSet, apply_second_stages, tie_order};

/// The aggregation states of the series that some spans make.
#[derive(Debug)]
pub(crate) struct Aggregates {
    grid: Grid,
    limit: MemoryLimit,
    groups: HashMap<GroupKey, u32>,
    key_bytes: usize,
    /// Whether the group without any label is shown with its first label as `nil`.
    nil_is_shown: bool,
    state: Box<dyn RangeState>,
}

/// Nearly always one value.
type GroupKey = SmallVec<[KeyValue; 1]>;

impl Aggregates {
    /// No series yet.
    pub(crate) fn new(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        grid: Grid,
        limit: MemoryLimit,
    ) -> Self {
        let cursor = IntervalCursor::new(grid.start_ns, grid.step_ns, grid.intervals);
        let state = new_state(state_kind(aggregate, plan.log2_quantiles), cursor, limit);
        let nil_is_shown = !has_own_label(&aggregate.function);
        Self {
            grid,
            limit,
            groups: HashMap::new(),
            key_bytes: 0,
            nil_is_shown,
            state,
        }
    }

    /// Adds the result of a job as rows: key columns, then the column of states.
    pub(crate) fn add_batch(
        &mut self,
        batch: &RecordBatch,
        keys: &[KeyKind],
    ) -> Result<(), EngineError> {
        let recovered = |error| recover(error, self.limit);
        let columns = batch.columns();
        let (key_columns, states) = columns.split_at(keys.len().min(columns.len()));
        let [states] = states else {
            let message = "a job's result is not keys and states".to_owned();
            return Err(EngineError::Internal(DataFusionError::Internal(message)));
        };
        let mut state = self.state.new_empty();
        state.grow(batch.num_rows());
        let in_place: Vec<u32> = (0..).take(batch.num_rows()).collect();
        state.absorb(&in_place, states).map_err(recovered)?;
        let keys_of_groups = key_columns.to_vec();
        self.add(
            Groups {
                keys: keys_of_groups,
                state,
            },
            keys,
        )
    }

    /// Adds the result of a job.
    pub(crate) fn add(&mut self, groups: Groups, keys: &[KeyKind]) -> Result<(), EngineError> {
        let limit = self.limit;
        let columns = keys
            .iter()
            .zip(&groups.keys)
            .map(|(kind, column)| KeyColumn::try_new(*kind, column))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| recover(error, limit))?;
        let count = groups.state.group_count();
        self.groups.reserve(count);
        let mut numbers = Vec::with_capacity(count);
        for (row, occupied) in groups.state.occupied().into_iter().enumerate() {
            // Groups of spans outside the window only are no groups of the answer.
            if !occupied {
                numbers.push(u32::MAX);
                continue;
            }
            let key = columns
                .iter()
                .map(|column| column.get(row))
                .collect::<Result<GroupKey, _>>()
                .map_err(|error| recover(error, limit))?;
            numbers.push(self.group(key));
        }
        self.merge_states(&numbers, groups.state)
    }

    /// Adds the states of other spans of the same query. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the merged states are larger than the query may hold.
    pub(crate) fn merge(&mut self, mut other: Self) -> Result<(), EngineError> {
        if self.groups.is_empty() {
            *self = other;
            return Ok(());
        }
        let mut numbers = vec![0; other.groups.len()];
        for (key, number) in other.groups.drain() {
            numbers[index(number)] = self.group(key);
        }
        self.merge_states(&numbers, other.state)
    }

    /// Adds the states of some intervals of others of the same query, and leaves them as they are.
    ///
    /// # Errors
    /// As for [`Self::merge`].
    pub(crate) fn merge_part(
        &mut self,
        part: &Self,
        placement: Placement,
    ) -> Result<(), EngineError> {
        let (from, count) = (index(placement.from), index(placement.count));
        let occupied = part.state.occupied_in(from..from.saturating_add(count));
        let mut numbers = vec![u32::MAX; occupied.len()];
        for (key, &number) in &part.groups {
            let number = index(number);
            if occupied.get(number) == Some(&true) {
                numbers[number] = match self.groups.get(key) {
                    Some(&held) => held,
                    None => self.group(key.clone()),
                };
            }
        }
        self.state.grow(self.groups.len());
        self.state
            .merge_part(&numbers, part.state.as_ref(), placement)
            .map_err(|error| recover(error, self.limit))?;
        self.check_memory()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.key_bytes + self.state.bytes()
    }

    fn merge_states(
        &mut self,
        numbers: &[u32],
        state: Box<dyn RangeState>,
    ) -> Result<(), EngineError> {
        self.state.grow(self.groups.len());
        self.state
            .merge(numbers, state)
            .map_err(|error| recover(error, self.limit))?;
        self.check_memory()
    }

    /// Number of label sets.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    fn group(&mut self, mut key: GroupKey) -> u32 {
        if self.nil_is_shown {
            show_nil(&mut key);
        }
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let spilled = usize::from(key.spilled()) * key.len() * size_of::<KeyValue>();
        let bytes = size_of::<(GroupKey, u32)>()
            + spilled
            + key.iter().map(KeyValue::heap_bytes).sum::<usize>();
        *self.groups.entry(key).or_insert_with(|| {
            self.key_bytes += bytes;
            next
        })
    }

    fn check_memory(&self) -> Result<(), EngineError> {
        self.limit.check(self.bytes())
    }

    /// Makes the series, applies the second stages, and puts them in canonical order.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the series are larger than the query may hold.
    pub(crate) fn finish(
        mut self,
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
    ) -> Result<SeriesSet, EngineError> {
        let counts = matches!(
            aggregate.function,
            MetricsFunction::Rate | MetricsFunction::CountOverTime
        );
        if counts && aggregate.by.is_empty() && !plan.is_never() {
            // Nothing counted is a count of zero.
            self.group(GroupKey::default());
        }
        self.state.grow(self.groups.len());
        let mut finisher = Finisher {
            aggregate,
            intervals: usize::try_from(self.grid.intervals).unwrap_or(usize::MAX),
            step_seconds: self.grid.step_seconds(),
            scale: if plan.aggregates_duration() { 1e9 } else { 1.0 },
            limit: self.limit,
            series: Vec::new(),
        };
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_unstable_by_key(|(_, index)| **index);
        let keys: Vec<_> = groups.into_iter().map(|(key, _)| key).collect();
        let in_answer = match Top::first_of(&plan.second_stages) {
            Some(top) => finisher.survivors(top, &keys, self.state.cells()),
            None => None,
        };
        finisher.finish(&keys, in_answer.as_deref(), self.state.cells())?;
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

/// A key of nothing but absence is shown as text, so it is the same series as that of the text.
fn show_nil(key: &mut [KeyValue]) {
    if key.iter().all(|value| *value == KeyValue::Nil)
        && let Some(first) = key.first_mut()
    {
        *first = KeyValue::String(NIL.into());
    }
}

/// The labels that the series of a span share, by its values of the `by` attributes.
pub(crate) fn base_labels(aggregate: &MetricsAggregate, mut key: Vec<KeyValue>) -> Vec<Label> {
    if !has_own_label(&aggregate.function) {
        show_nil(&mut key);
    }
    labels_of(aggregate, &key)
}

/// The labels that a group's series share.
fn labels_of(aggregate: &MetricsAggregate, key: &[KeyValue]) -> Vec<Label> {
    let names = aggregate.by.iter().map(|by| by.attribute.canonical());
    let mut labels: Vec<Label> = names
        .zip(key)
        .filter_map(|(name, value)| value.label().map(|value| Label { name, value }))
        .collect();
    if aggregate.by.is_empty() && !has_own_label(&aggregate.function) {
        let value = LabelValue::String(aggregate.function.as_str().to_owned());
        labels.push(Label {
            name: "__name__".to_owned(),
            value,
        });
    }
    labels
}

/// The order of two groups' labels, as [`tie_order`] has it.
fn order_of_ties(aggregate: &MetricsAggregate, lhs: &GroupKey, rhs: &GroupKey) -> Ordering {
    for values in lhs.iter().zip(rhs) {
        match values {
            // Text is shown as it is.
            (KeyValue::String(lhs), KeyValue::String(rhs)) if lhs == rhs => {}
            (KeyValue::String(lhs), KeyValue::String(rhs)) => return lhs.cmp(rhs),
            _ => break,
        }
    }
    tie_order(&labels_of(aggregate, lhs), &labels_of(aggregate, rhs))
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
    aggregate: &'a MetricsAggregate,
    intervals: usize,
    step_seconds: f64,
    scale: f64,
    limit: MemoryLimit,
    series: Vec<Series>,
}

impl Finisher<'_> {
    /// Of each group, whether a stage leaves something of its series; `None` where a group has several.
    fn survivors(&self, top: Top, keys: &[&GroupKey], cells: Cells<'_>) -> Option<Vec<bool>> {
        let order = |lhs: usize, rhs: usize| order_of_ties(self.aggregate, keys[lhs], keys[rhs]);
        match cells {
            Cells::Count(cells) => Some(top.survivors(&cells, order, |cell| self.count(cell))),
            Cells::Min(cells) => Some(top.survivors(&cells, order, |cell| self.extreme(cell))),
            Cells::Max(cells) => Some(top.survivors(&cells, order, |cell| self.extreme(cell))),
            Cells::Sum(cells) => Some(top.survivors(&cells, order, |cell| self.sum(cell))),
            Cells::Sketch(_) | Cells::Log2(_) => None,
        }
    }

    /// Makes the series of the groups that are in the answer.
    fn finish(
        &mut self,
        keys: &[&GroupKey],
        in_answer: Option<&[bool]>,
        cells: Cells<'_>,
    ) -> Result<(), EngineError> {
        let groups = keys.iter().enumerate();
        let groups = groups.filter(|(group, _)| in_answer.is_none_or(|kept| kept[*group]));
        let groups = groups.map(|(group, key)| (group, labels_of(self.aggregate, key)));
        match cells {
            Cells::Count(cells) => self.each(groups, cells, |this, labels, cells| {
                this.push(labels, this.values(cells, |cell| this.count(cell)))
            }),
            Cells::Min(cells) => self.each(groups, cells, |this, labels, cells| {
                this.push(labels, this.values(cells, |cell| this.extreme(cell)))
            }),
            Cells::Max(cells) => self.each(groups, cells, |this, labels, cells| {
                this.push(labels, this.values(cells, |cell| this.extreme(cell)))
            }),
            Cells::Sum(cells) => self.each(groups, cells, |this, labels, cells| {
                this.push(labels, this.values(cells, |cell| this.sum(cell)))
            }),
            Cells::Sketch(cells) => self.each(groups, cells, |this, labels, cells| {
                this.quantiles(&labels, cells, Sketch::quantile)
            }),
            Cells::Log2(cells) => {
                let is_histogram = self.aggregate.function == MetricsFunction::HistogramOverTime;
                self.each(groups, cells, |this, labels, cells| {
                    if is_histogram {
                        this.histogram(&labels, cells)
                    } else {
                        this.quantiles(&labels, cells, Log2Histogram::quantile)
                    }
                })
            }
        }
    }

    /// Makes the series of each group out of its cells.
    fn each<C: Cell>(
        &mut self,
        groups: impl Iterator<Item = (usize, Vec<Label>)>,
        cells: Matrix<'_, C>,
        make: impl Fn(&mut Self, Vec<Label>, &[(usize, &C)]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let cells = cells.by_group();
        for (group, labels) in groups {
            make(self, labels, cells.group(group))?;
        }
        Ok(())
    }

    /// The values of a series over all intervals.
    fn values<C>(&self, cells: &[(usize, &C)], value: impl Fn(Option<&C>) -> f64) -> Vec<f64> {
        let mut values = vec![value(None); self.intervals];
        for (interval, cell) in cells {
            values[*interval] = value(Some(cell));
        }
        values
    }

    /// Nothing counted is a count of zero.
    fn count(&self, cell: Option<&CountCell>) -> f64 {
        let count = as_float(cell.map_or(0, |cell| cell.0));
        match self.aggregate.function {
            MetricsFunction::Rate => count * (1.0 / self.step_seconds),
            _ => count,
        }
    }

    fn extreme<const SIGN: i8>(&self, cell: Option<&ExtremeCell<SIGN>>) -> f64 {
        cell.map_or(f64::NAN, |cell| cell.value.value() / self.scale)
    }

    fn sum(&self, cell: Option<&SumCell>) -> f64 {
        let Some(cell) = cell else {
            return f64::NAN;
        };
        let sum = cell.sum.value();
        match self.aggregate.function {
            MetricsFunction::AvgOverTime => sum / as_float(cell.count) / self.scale,
            _ => sum / self.scale,
        }
    }

    fn quantiles<C>(
        &mut self,
        labels: &[Label],
        cells: &[(usize, &C)],
        quantile: impl Fn(&C, f64) -> Option<f64>,
    ) -> Result<(), EngineError> {
        let MetricsFunction::QuantileOverTime { quantiles } = &self.aggregate.function else {
            return Ok(());
        };
        if cells.is_empty() {
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
            let value = |cell: Option<&C>| quantile(cell?, q);
            let values = self.values(cells, |cell| {
                value(cell).map_or(0.0, |value| value / self.scale)
            });
            self.push(labels, values)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        labels: &[Label],
        cells: &[(usize, &Log2Histogram)],
    ) -> Result<(), EngineError> {
        let buckets = cells.iter().flat_map(|(_, cell)| cell.0.iter());
        let buckets: BTreeSet<i32> = buckets.map(|(bucket, _)| bucket).collect();
        for bucket in buckets {
            let mut labels = labels.to_vec();
            let upper = LabelValue::Float(bound(bucket) / self.scale);
            labels.push(Label {
                name: "__bucket".to_owned(),
                value: upper,
            });
            let count = |cell: Option<&Log2Histogram>| cell.map_or(0, |cell| cell.0.count(bucket));
            let values = self.values(cells, |cell| as_float(count(cell)));
            self.push(labels, values)?;
        }
        Ok(())
    }

    fn push(&mut self, labels: Vec<Label>, values: Vec<f64>) -> Result<(), EngineError> {
        self.series.push(Series { labels, values });
        let values = self.series.len().saturating_mul(self.intervals);
        self.limit.check(values.saturating_mul(size_of::<f64>()))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
