//! The states of one aggregate, and the series they become.

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use smallvec::SmallVec;
use traceql::ast::{MetricsAggregate, MetricsFunction};

use super::finish::Finisher;
use super::group_table::GroupTable;
use super::labels::{has_own_label, names, show_nil};
use super::top::Top;
use crate::aggregate::by_group::ShownGroups;
use crate::aggregate::interval::IntervalCursor;
use crate::aggregate::{Groups, RangeState, StateKind, new_state};
use crate::error::EngineError;
use crate::grid::{Grid, Placement};
use crate::index::index;
use crate::key::{KeyColumn, KeyKind, KeyValue};
use crate::limit::{MemoryLimit, recover};
use crate::plan::MetricsPlan;
use crate::series::{SeriesSet, apply_second_stages};

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
        let kind = StateKind::of(&aggregate.function, plan.log2_quantiles);
        let state = new_state(kind, cursor, limit);
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
