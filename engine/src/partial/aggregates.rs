//! The states of one aggregate, and the series they become.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use smallvec::SmallVec;
use traceql::ast::{MetricsAggregate, MetricsFunction};

use super::group_table::GroupTable;
use super::top::Top;
use crate::aggregate::by_group::ShownGroups;
use crate::aggregate::cell::{Cell, CountCell, ExtremeCell, SumCell};
use crate::aggregate::histogram::{Log2Histogram, bound};
use crate::aggregate::interval::IntervalCursor;
use crate::aggregate::sketch::Sketch;
use crate::aggregate::states::{Cells, Matrix};
use crate::aggregate::{RangeState, new_state};
use crate::error::EngineError;
use crate::grid::{Grid, Placement};
use crate::index::index;
use crate::key::{KeyColumn, KeyKind, KeyValue, NIL};
use crate::limit::{MemoryLimit, recover};
use crate::lower::state_kind;
use crate::physical::Groups;
use crate::plan::MetricsPlan;
use crate::series::{Label, LabelValue, Series, SeriesSet, Values, apply_second_stages, tie_order};
use crate::threads;

/// The aggregation states of the series that some spans make.
#[derive(Debug)]
pub(crate) struct Aggregates {
    grid: Grid,
    limit: MemoryLimit,
    groups: GroupTable,
    /// Whether the group without any label is shown with its first label as `nil`.
    nil_is_shown: bool,
    state: Box<dyn RangeState>,
}

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
            groups: GroupTable::new(aggregate.by.len()),
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
        let mut key = SmallVec::<[KeyValue<'_>; 4]>::new();
        for (row, occupied) in groups.state.occupied().into_iter().enumerate() {
            // Groups of spans outside the window only are no groups of the answer.
            if !occupied {
                numbers.push(u32::MAX);
                continue;
            }
            key.clear();
            for column in &columns {
                key.push(column.get(row).map_err(|error| recover(error, limit))?);
            }
            if self.nil_is_shown {
                show_nil(&mut key);
            }
            numbers.push(self.groups.number(&key));
        }
        self.merge_states(&numbers, groups.state)
    }

    /// Adds the states of other spans of the same query. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the merged states are larger than the query may hold.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        if self.groups.len() == 0 {
            *self = other;
            return Ok(());
        }
        let numbers = (0..).take(other.groups.len());
        let numbers = numbers.map(|number| self.groups.number_of(&other.groups, number));
        let numbers: Vec<u32> = numbers.collect();
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
        let numbers = (0..).zip(occupied).map(|(number, occupied)| {
            if occupied {
                self.groups.number_of(&part.groups, number)
            } else {
                u32::MAX
            }
        });
        let numbers: Vec<u32> = numbers.collect();
        self.state.grow(self.groups.len());
        self.state
            .merge_part(&numbers, part.state.as_ref(), placement)
            .map_err(|error| recover(error, self.limit))?;
        self.check_memory()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.groups.bytes() + self.state.bytes()
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
            self.groups.number(&[]);
        }
        self.state.grow(self.groups.len());
        let mut finisher = Finisher {
            aggregate,
            intervals: usize::try_from(self.grid.intervals).unwrap_or(usize::MAX),
            step_seconds: self.grid.step_seconds(),
            scale: if plan.aggregates_duration() { 1e9 } else { 1.0 },
            limit: self.limit,
            names: names(aggregate),
            series: Vec::new(),
        };
        let in_answer = match Top::first_of(&plan.second_stages) {
            Some(top) => finisher.survivors(top, &self.groups, self.state.cells()),
            None => None,
        };
        let shown = match &in_answer {
            Some(in_answer) => ShownGroups::Some(in_answer),
            None => ShownGroups::All,
        };
        finisher.finish(&self.groups, shown, self.state.cells())?;
        let mut set = SeriesSet {
            grid: self.grid,
            series: finisher.series,
        };
        set.series.retain(|series| series.values.has_sample());
        apply_second_stages(&mut set, &plan.second_stages);
        set.sort();
        Ok(set)
    }
}

/// A key of nothing but absence is shown as text, so it is the same series as that of the text.
fn show_nil(key: &mut [KeyValue<'_>]) {
    if key.iter().all(|value| *value == KeyValue::Nil)
        && let Some(first) = key.first_mut()
    {
        *first = KeyValue::String(NIL);
    }
}

/// The labels that the series of a span share, by its values of the `by` attributes.
pub(crate) fn base_labels(aggregate: &MetricsAggregate, key: &mut [KeyValue<'_>]) -> Vec<Label> {
    if !has_own_label(&aggregate.function) {
        show_nil(key);
    }
    labels_of(aggregate, &names(aggregate), key.iter().copied(), None)
}

/// The names of the labels of groups.
fn names(aggregate: &MetricsAggregate) -> Vec<Arc<str>> {
    let attributes = aggregate.by.iter();
    attributes
        .map(|by| by.attribute.canonical().into())
        .collect()
}

/// The labels that a group's series share, and then the one that a series has of its own.
fn labels_of<'k>(
    aggregate: &MetricsAggregate,
    names: &[Arc<str>],
    key: impl Iterator<Item = KeyValue<'k>>,
    own: Option<&Label>,
) -> Vec<Label> {
    let mut labels = Vec::with_capacity(names.len() + usize::from(own.is_some()));
    labels.extend(names.iter().zip(key).filter_map(|(name, value)| {
        let name = Arc::clone(name);
        value.label().map(|value| Label { name, value })
    }));
    if aggregate.by.is_empty() && !has_own_label(&aggregate.function) {
        let value = LabelValue::String(aggregate.function.as_str().into());
        let name = "__name__".into();
        labels.push(Label { name, value });
    }
    labels.extend(own.cloned());
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
    aggregate: &'a MetricsAggregate,
    intervals: usize,
    step_seconds: f64,
    scale: f64,
    limit: MemoryLimit,
    /// Of the labels of groups.
    names: Vec<Arc<str>>,
    series: Vec<Series>,
}

impl Finisher<'_> {
    /// Of each group, whether a stage leaves something of its series; `None` where a group has several.
    fn survivors(&self, top: Top, groups: &GroupTable, cells: Cells<'_>) -> Option<Vec<bool>> {
        let order = |lhs: u32, rhs: u32| self.order_of_ties(groups, lhs, rhs);
        let survivors = match cells {
            Cells::Count(cells) => top.survivors(&cells, order, |cell| self.count(cell)),
            Cells::Min(cells) => top.survivors(&cells, order, |cell| self.extreme(cell)),
            Cells::Max(cells) => top.survivors(&cells, order, |cell| self.extreme(cell)),
            Cells::Sum(cells) => top.survivors(&cells, order, |cell| self.sum(cell)),
            Cells::Sketch(_) | Cells::Log2(_) => return None,
        };
        Some(survivors)
    }

    /// The order of two groups' labels, as [`tie_order`] has it.
    fn order_of_ties(&self, groups: &GroupTable, lhs: u32, rhs: u32) -> Ordering {
        for values in groups.key(lhs).zip(groups.key(rhs)) {
            match values {
                // Text is shown as it is.
                (KeyValue::String(lhs), KeyValue::String(rhs)) if lhs == rhs => {}
                (KeyValue::String(lhs), KeyValue::String(rhs)) => return lhs.cmp(rhs),
                _ => break,
            }
        }
        tie_order(
            &self.labels(groups, lhs, None),
            &self.labels(groups, rhs, None),
        )
    }

    /// The labels of a group's series, with its own behind them.
    fn labels(&self, groups: &GroupTable, group: u32, own: Option<&Label>) -> Vec<Label> {
        labels_of(self.aggregate, &self.names, groups.key(group), own)
    }

    /// Makes the series of these groups.
    fn finish(
        &mut self,
        groups: &GroupTable,
        shown: ShownGroups<'_>,
        cells: Cells<'_>,
    ) -> Result<(), EngineError> {
        // To sort a hundred thousand series takes longer than to make them, unless they come in order.
        let ordered = groups.in_near_order(|group| shown.contains(*group));
        let shown = Shown {
            groups,
            shown,
            ordered,
        };
        let is_histogram = self.aggregate.function == MetricsFunction::HistogramOverTime;
        match cells {
            Cells::Count(cells) => self.one_each(&shown, &cells, None, Self::count),
            Cells::Min(cells) => self.one_each(&shown, &cells, None, Self::extreme),
            Cells::Max(cells) => self.one_each(&shown, &cells, None, Self::extreme),
            Cells::Sum(cells) => self.one_each(&shown, &cells, None, Self::sum),
            Cells::Sketch(cells) => self.quantiles(&shown, &cells, Sketch::quantile),
            Cells::Log2(cells) if is_histogram => self.histograms(&shown, &cells),
            Cells::Log2(cells) => self.quantiles(&shown, &cells, Log2Histogram::quantile),
        }
    }

    /// Makes one series of each group. If it has a label of its own, there is none where nothing was
    /// counted.
    fn one_each<C: Cell>(
        &mut self,
        shown: &Shown<'_>,
        cells: &Matrix<'_, C>,
        own: Option<&Label>,
        value: impl Fn(&Self, Option<&C>) -> f64 + Send + Sync,
    ) -> Result<(), EngineError> {
        let counted = cells.by_group_on_threads(shown.shown, |cell| value(self, Some(cell)));
        let counted = |group| counted.group(index(group));
        let elsewhere = value(self, None);
        let mut groups = Cow::Borrowed(shown.ordered.as_slice());
        if own.is_some() {
            groups.to_mut().retain(|group| !counted(*group).is_empty());
        }
        self.push(&groups, |this, &group| {
            let counted = counted(group).iter().copied();
            let values = Values::new(this.intervals, elsewhere, counted);
            let labels = this.labels(shown.groups, group, own);
            Series { labels, values }
        })
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
        let sum = cell.sum().value();
        match self.aggregate.function {
            MetricsFunction::AvgOverTime => sum / as_float(cell.count) / self.scale,
            _ => sum / self.scale,
        }
    }

    fn quantiles<C: Cell>(
        &mut self,
        shown: &Shown<'_>,
        cells: &Matrix<'_, C>,
        quantile: impl Fn(&C, f64) -> Option<f64> + Send + Sync,
    ) -> Result<(), EngineError> {
        let MetricsFunction::QuantileOverTime { quantiles } = &self.aggregate.function else {
            return Ok(());
        };
        for (index, &q) in quantiles.iter().enumerate() {
            // Written twice, it is still one series.
            if quantiles[..index]
                .iter()
                .any(|before| before.to_bits() == q.to_bits())
            {
                continue;
            }
            let own = Label {
                name: "p".into(),
                value: LabelValue::Float(q),
            };
            let value = |cell: Option<&C>| quantile(cell?, q);
            self.one_each(shown, cells, Some(&own), |this, cell| {
                value(cell).map_or(0.0, |value| value / this.scale)
            })?;
        }
        Ok(())
    }

    fn histograms(
        &mut self,
        shown: &Shown<'_>,
        cells: &Matrix<'_, Log2Histogram>,
    ) -> Result<(), EngineError> {
        let counted = cells.by_group_on_threads(shown.shown, |cell| cell);
        let counted = |group| counted.group(index(group));
        let buckets = shown.ordered.iter().flat_map(|&group| {
            let buckets = counted(group).iter().flat_map(|(_, cell)| cell.0.iter());
            let buckets: BTreeSet<i32> = buckets.map(|(bucket, _)| bucket).collect();
            buckets.into_iter().map(move |bucket| (group, bucket))
        });
        let buckets: Vec<(u32, i32)> = buckets.collect();
        self.push(&buckets, |this, &(group, bucket)| {
            let own = Label {
                name: "__bucket".into(),
                value: LabelValue::Float(bound(bucket) / this.scale),
            };
            let counts = counted(group).iter();
            let counts = counts.map(|(interval, cell)| (*interval, as_float(cell.0.count(bucket))));
            let values = Values::new(this.intervals, 0.0, counts);
            let labels = this.labels(shown.groups, group, Some(&own));
            Series { labels, values }
        })
    }

    /// Makes a series of each of these.
    fn push<T: Sync>(
        &mut self,
        of: &[T],
        series: impl Fn(&Self, &T) -> Series + Send + Sync,
    ) -> Result<(), EngineError> {
        // As much as they take when stages and arithmetic have given each value a place of its own.
        let values = (self.series.len() + of.len()).saturating_mul(self.intervals);
        self.limit.check(values.saturating_mul(size_of::<f64>()))?;
        let made = threads::map(of.len(), of, |of| series(self, of));
        if self.series.is_empty() {
            self.series = made;
        } else {
            self.series.extend(made);
        }
        Ok(())
    }
}

/// The groups that have series.
struct Shown<'a> {
    groups: &'a GroupTable,
    shown: ShownGroups<'a>,
    /// Their numbers, nearly in the order of series.
    ordered: Vec<u32>,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}
