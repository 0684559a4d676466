//! All cells of all groups, as one dense vector per group.

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};

use super::StateKind;
use super::cell::{Cell, CountCell, ExtremeCell, SumCell};
use super::histogram::Log2Histogram;
use super::interval::IntervalCursor;
use super::rows::{StateBuilder, StateReader};
use super::sketch::Sketch;
use crate::error::EngineError;
use crate::limit::MemoryLimit;

/// The states of many groups over one grid.
///
/// Groups are numbered from 0; a group exists once [`grow`](Self::grow) has been told of it.
pub(crate) trait RangeState: Debug + Send + Sync {
    /// Makes room for groups `0..groups`.
    ///
    /// # Errors
    /// If that takes more memory than allowed.
    fn grow(&mut self, groups: usize) -> Result<()>;

    /// Adds spans: row `i` has time `times[i]` and belongs to group `groups[i]`. Rows outside the
    /// grid, rows that `filter` leaves out, and rows without a value are not counted.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the values are of a type that has no sum.
    fn update(
        &mut self,
        groups: &[usize],
        times: &Int64Array,
        values: Option<&ArrayRef>,
        filter: Option<&BooleanArray>,
    ) -> Result<()>;

    /// Adds states made by [`take`](Self::take): state `i` to group `groups[i]`.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the column is no column of states.
    fn absorb(&mut self, groups: &[usize], states: &ArrayRef) -> Result<()>;

    /// Takes out the states of the first `count` groups; the rest move down.
    fn take(&mut self, count: usize) -> ArrayRef;

    /// Number of groups.
    fn group_count(&self) -> usize;

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// The states, for making series of them.
    fn cells(&self) -> Cells<'_>;
}

/// The cells of a state by kind, group after group, each over all intervals.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cells<'a> {
    Count(&'a [CountCell]),
    Sum(&'a [SumCell]),
    Min(&'a [ExtremeCell<1>]),
    Max(&'a [ExtremeCell<-1>]),
    Sketch(&'a [Sketch]),
    Log2(&'a [Log2Histogram]),
}

/// Cells that know how to show themselves in [`Cells`].
pub(crate) trait Viewable: Cell {
    /// The cells as their kind.
    fn view(cells: &[Self]) -> Cells<'_>;
}

macro_rules! viewable {
    ($($cell:ty => $kind:ident),+ $(,)?) => {
        $(impl Viewable for $cell {
            fn view(cells: &[Self]) -> Cells<'_> {
                Cells::$kind(cells)
            }
        })+
    };
}

viewable! {
    CountCell => Count,
    SumCell => Sum,
    ExtremeCell<1> => Min,
    ExtremeCell<-1> => Max,
    Sketch => Sketch,
    Log2Histogram => Log2,
}

/// An empty state of one kind.
pub(crate) fn new_state(
    kind: StateKind,
    cursor: IntervalCursor,
    intervals: u32,
    limit: MemoryLimit,
) -> Box<dyn RangeState> {
    match kind {
        StateKind::Count => Box::new(Dense::<CountCell>::new(cursor, intervals, limit)),
        StateKind::Sum => Box::new(Dense::<SumCell>::new(cursor, intervals, limit)),
        StateKind::Min => Box::new(Dense::<ExtremeCell<1>>::new(cursor, intervals, limit)),
        StateKind::Max => Box::new(Dense::<ExtremeCell<-1>>::new(cursor, intervals, limit)),
        StateKind::Sketch => Box::new(Dense::<Sketch>::new(cursor, intervals, limit)),
        StateKind::Log2 => Box::new(Dense::<Log2Histogram>::new(cursor, intervals, limit)),
    }
}

#[derive(Debug)]
struct Dense<C> {
    cells: Vec<C>,
    intervals: usize,
    cursor: IntervalCursor,
    /// What the cells hold outside of themselves.
    heap_bytes: usize,
    limit: MemoryLimit,
}

impl<C: Cell> Dense<C> {
    fn new(cursor: IntervalCursor, intervals: u32, limit: MemoryLimit) -> Self {
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        Self {
            cells: Vec::new(),
            intervals,
            cursor,
            heap_bytes: 0,
            limit,
        }
    }

    fn check(&self, bytes: usize) -> Result<()> {
        if u64::try_from(bytes).is_ok_and(|bytes| bytes <= self.limit.bytes) {
            return Ok(());
        }
        let MemoryLimit {
            bytes: limit_bytes,
            key,
        } = self.limit;
        Err(DataFusionError::External(Box::new(
            EngineError::MemoryLimit { limit_bytes, key },
        )))
    }

    /// Applies `add` to the cell of every row that counts.
    #[inline]
    fn for_each(
        &mut self,
        groups: &[usize],
        times: &Int64Array,
        keep: impl Fn(usize) -> bool,
        add: impl Fn(&mut C, usize),
    ) -> Result<()> {
        let heap_before = self.heap_bytes;
        for (row, (&group, &time)) in groups.iter().zip(times.values()).enumerate() {
            if !keep(row) {
                continue;
            }
            let Some(interval) = self.cursor.find(time) else {
                continue;
            };
            let cell = &mut self.cells[group * self.intervals + interval];
            let before = cell.heap_bytes();
            add(cell, row);
            self.heap_bytes += cell.heap_bytes() - before;
        }
        if self.heap_bytes == heap_before {
            Ok(())
        } else {
            self.check(self.allocated())
        }
    }

    fn allocated(&self) -> usize {
        self.cells.capacity() * size_of::<C>() + self.heap_bytes
    }
}

impl<C: Viewable> RangeState for Dense<C> {
    fn grow(&mut self, groups: usize) -> Result<()> {
        let needed = groups.saturating_mul(self.intervals);
        if needed <= self.cells.len() {
            return Ok(());
        }
        if needed > self.cells.capacity() {
            // Growing by a quarter keeps the copying linear without ever doubling the memory.
            let wanted = needed.max(self.cells.capacity() + self.cells.capacity() / 4);
            self.check(
                wanted
                    .saturating_mul(size_of::<C>())
                    .saturating_add(self.heap_bytes),
            )?;
            self.cells.reserve_exact(wanted - self.cells.len());
        }
        self.cells.resize(needed, C::default());
        Ok(())
    }

    fn update(
        &mut self,
        groups: &[usize],
        times: &Int64Array,
        values: Option<&ArrayRef>,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        if let Some(last) = groups.iter().max() {
            self.grow(last + 1)?;
        }
        let counted =
            |row: usize| filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
        let Some(values) = values else {
            return if filter.is_none() {
                self.for_each(groups, times, |_| true, |cell, _| cell.add_span())
            } else {
                self.for_each(groups, times, counted, |cell, _| cell.add_span())
            };
        };
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                if filter.is_none() && values.null_count() == 0 {
                    let values = values.values();
                    self.for_each(
                        groups,
                        times,
                        |_| true,
                        |cell, row| cell.add_int(values[row]),
                    )
                } else {
                    let keep = |row: usize| values.is_valid(row) && counted(row);
                    self.for_each(groups, times, keep, |cell, row| {
                        cell.add_int(values.value(row))
                    })
                }
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                let keep = |row: usize| {
                    values.is_valid(row) && !values.value(row).is_nan() && counted(row)
                };
                self.for_each(groups, times, keep, |cell, row| {
                    cell.add_float(values.value(row))
                })
            }
            DataType::Null => Ok(()),
            other => Err(DataFusionError::Internal(format!(
                "cannot aggregate values of type {other}"
            ))),
        }
    }

    fn absorb(&mut self, groups: &[usize], states: &ArrayRef) -> Result<()> {
        if let Some(last) = groups.iter().max() {
            self.grow(last + 1)?;
        }
        let reader = StateReader::try_new(states)?;
        for (index, &group) in groups.iter().enumerate() {
            for row in reader.rows(index) {
                let interval = usize::try_from(row.interval).unwrap_or(usize::MAX);
                if interval >= self.intervals {
                    return Err(DataFusionError::Internal(
                        "aggregation state of another grid".into(),
                    ));
                }
                let cell = &mut self.cells[group * self.intervals + interval];
                let before = cell.heap_bytes();
                cell.absorb(&row);
                self.heap_bytes += cell.heap_bytes() - before;
            }
        }
        self.check(self.allocated())
    }

    fn take(&mut self, count: usize) -> ArrayRef {
        let taken = count.saturating_mul(self.intervals).min(self.cells.len());
        let mut builder = StateBuilder::default();
        for cells in self.cells[..taken].chunks(self.intervals) {
            for (interval, cell) in (0_u32..).zip(cells) {
                if !cell.is_empty() {
                    self.heap_bytes -= cell.heap_bytes();
                    cell.rows(interval, |row| builder.push(row));
                }
            }
            builder.finish_group();
        }
        if taken == self.cells.len() {
            self.cells = Vec::new();
        } else {
            self.cells.drain(..taken);
        }
        builder.finish()
    }

    fn group_count(&self) -> usize {
        self.cells.len() / self.intervals
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.allocated()
    }

    fn cells(&self) -> Cells<'_> {
        C::view(&self.cells)
    }
}
