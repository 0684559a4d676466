//! All cells of all groups: one vector of groups per interval.
//!
//! Spans come nearly in order of time, so at any moment the cells in use are those of one interval,
//! which stand together, and intervals that nothing falls into take no room.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};

use super::StateKind;
use super::cell::{Cell, CountCell, ExtremeCell, SumCell};
use super::histogram::Log2Histogram;
use super::interval::{IntervalCursor, Moments};
use super::rows::{StateBuilder, StateReader};
use super::sketch::Sketch;
use crate::grid::Placement;
use crate::limit::MemoryLimit;

/// The states of many groups over one grid.
///
/// Groups are numbered from 0; a group exists once [`grow`](Self::grow) has been told of it.
pub(crate) trait RangeState: Any + Debug + Send + Sync {
    /// Makes room for groups `0..groups`.
    fn grow(&mut self, groups: usize);

    /// Adds spans: row `i` is at moment `i` of `moments` and belongs to group `groups[i]`, or to group
    /// 0 where there are no `groups`. Rows outside the grid, rows that `filter` leaves out, and rows
    /// without a value are not counted.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the values are of a type that has no sum.
    fn update(
        &mut self,
        groups: Option<&[u32]>,
        moments: Moments<'_>,
        values: Option<&ArrayRef>,
        filter: Option<&BooleanArray>,
    ) -> Result<()>;

    /// Adds states of the same kind over the same grid: those of its group `i` to group `groups[i]`.
    /// Groups with nothing counted are not looked at, and may have any number.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the states are of another kind or grid.
    fn merge(&mut self, groups: &[u32], other: Box<dyn RangeState>) -> Result<()>;

    /// Adds the states of some intervals of others of the same kind, as [`merge`](Self::merge) does,
    /// and leaves them as they are.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the states are of another kind.
    fn merge_part(
        &mut self,
        groups: &[u32],
        other: &dyn RangeState,
        placement: Placement,
    ) -> Result<()>;

    /// Adds states made by [`take`](Self::take): state `i` to group `groups[i]`.
    ///
    /// # Errors
    /// If that takes more memory than allowed, or the column is no column of states.
    fn absorb(&mut self, groups: &[u32], states: &ArrayRef) -> Result<()>;

    /// Takes out the states of the first `count` groups as a column; the rest move down.
    fn take(&mut self, count: usize) -> ArrayRef;

    /// An empty state of the same kind over the same grid.
    fn new_empty(&self) -> Box<dyn RangeState>;

    /// Number of groups.
    fn group_count(&self) -> usize;

    /// Of each group, whether something was counted in these intervals.
    fn occupied_in(&self, intervals: Range<usize>) -> Vec<bool>;

    /// Of each group, whether something was counted.
    fn occupied(&self) -> Vec<bool> {
        self.occupied_in(0..usize::MAX)
    }

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// The states, for making series of them.
    fn cells(&self) -> Cells<'_>;
}

/// The cells of a state by kind.
#[derive(Debug)]
pub(crate) enum Cells<'a> {
    Count(Matrix<'a, CountCell>),
    Sum(Matrix<'a, SumCell>),
    Min(Matrix<'a, ExtremeCell<1>>),
    Max(Matrix<'a, ExtremeCell<-1>>),
    Sketch(Matrix<'a, Sketch>),
    Log2(Matrix<'a, Log2Histogram>),
}

/// Cells by interval and group.
#[derive(Debug)]
pub(crate) struct Matrix<'a, C> {
    intervals: usize,
    cells: &'a [Vec<C>],
}

impl<'a, C: Cell> Matrix<'a, C> {
    /// Number of intervals.
    pub(crate) const fn intervals(&self) -> usize {
        self.intervals
    }

    /// The cells of one interval by group, up to the last group with something in it or before.
    pub(crate) fn interval(&self, interval: usize) -> &'a [C] {
        self.cells.get(interval).map_or(&[], Vec::as_slice)
    }

    /// The cells of one group over all intervals; `None` where nothing was counted.
    pub(crate) fn group(
        &self,
        group: usize,
    ) -> impl Iterator<Item = Option<&'a C>> + Clone + use<'a, C> {
        let cells = self.cells;
        let cell = move |interval: usize| {
            let cell = cells.get(interval)?.get(group)?;
            (!cell.is_empty()).then_some(cell)
        };
        (0..self.intervals).map(cell)
    }
}

/// Cells that know how to show themselves in [`Cells`].
pub(crate) trait Viewable: Cell {
    /// The cells as their kind.
    fn view(cells: Matrix<'_, Self>) -> Cells<'_>;
}

macro_rules! viewable {
    ($($cell:ty => $kind:ident),+ $(,)?) => {
        $(impl Viewable for $cell {
            fn view(cells: Matrix<'_, Self>) -> Cells<'_> {
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

/// An empty state of one kind over the grid of a cursor.
pub(crate) fn new_state(
    kind: StateKind,
    cursor: IntervalCursor,
    limit: MemoryLimit,
) -> Box<dyn RangeState> {
    match kind {
        StateKind::Count => Box::new(Dense::<CountCell>::new(cursor, limit)),
        StateKind::Sum => Box::new(Dense::<SumCell>::new(cursor, limit)),
        StateKind::Min => Box::new(Dense::<ExtremeCell<1>>::new(cursor, limit)),
        StateKind::Max => Box::new(Dense::<ExtremeCell<-1>>::new(cursor, limit)),
        StateKind::Sketch => Box::new(Dense::<Sketch>::new(cursor, limit)),
        StateKind::Log2 => Box::new(Dense::<Log2Histogram>::new(cursor, limit)),
    }
}

#[derive(Debug)]
struct Dense<C> {
    /// By interval up to the last with something in it, then by group up to the last that there was
    /// when something was last counted in that interval.
    cells: Vec<Vec<C>>,
    groups: usize,
    cursor: IntervalCursor,
    /// What the vectors hold.
    vector_bytes: usize,
    /// What the cells hold outside of themselves.
    heap_bytes: usize,
    limit: MemoryLimit,
}

impl<C: Cell> Dense<C> {
    fn new(cursor: IntervalCursor, limit: MemoryLimit) -> Self {
        Self {
            cells: Vec::new(),
            groups: 0,
            cursor,
            vector_bytes: 0,
            heap_bytes: 0,
            limit,
        }
    }

    fn check(&self, bytes: usize) -> Result<()> {
        let checked = self.limit.check(bytes);
        checked.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// The cells of all groups in one interval.
    #[inline]
    fn open(&mut self, interval: usize) -> Result<&mut Vec<C>> {
        if self
            .cells
            .get(interval)
            .is_none_or(|cells| cells.len() < self.groups)
        {
            self.extend(interval)?;
        }
        Ok(&mut self.cells[interval])
    }

    fn extend(&mut self, interval: usize) -> Result<()> {
        if interval >= self.cells.len() {
            self.reserve(interval + 1, |this| &mut this.cells)?;
            self.cells.resize_with(interval + 1, Vec::new);
        }
        let groups = self.groups;
        self.reserve(groups, |this| &mut this.cells[interval])?;
        self.cells[interval].resize(groups, C::default());
        Ok(())
    }

    /// Makes room for `needed` items in one of the vectors, if that is allowed.
    fn reserve<T>(&mut self, needed: usize, of: impl Fn(&mut Self) -> &mut Vec<T>) -> Result<()> {
        let (length, capacity) = (of(self).len(), of(self).capacity());
        if needed <= capacity {
            return Ok(());
        }
        // Growing by a quarter keeps the copying linear without ever doubling the memory.
        let wanted = needed.max(capacity + capacity / 4);
        let added = (wanted - capacity).saturating_mul(size_of::<T>());
        self.check(self.allocated().saturating_add(added))?;
        of(self).reserve_exact(wanted - length);
        self.vector_bytes += (of(self).capacity() - capacity) * size_of::<T>();
        Ok(())
    }

    /// Calls `add` with every run of rows of one interval and the cells of that interval; it returns
    /// the bytes that it allocated.
    #[inline]
    fn for_each_run(
        &mut self,
        moments: Moments<'_>,
        mut add: impl FnMut(Range<usize>, &mut [C]) -> usize,
    ) -> Result<()> {
        let rows = moments.len();
        let mut row = 0;
        while row < rows {
            let (interval, length) = moments.run(row, &mut self.cursor);
            if let Some(interval) = interval {
                let allocated = add(row..row + length, self.open(interval)?);
                if allocated > 0 {
                    self.heap_bytes += allocated;
                    self.check(self.allocated())?;
                }
            }
            row += length;
        }
        Ok(())
    }

    /// Calls `add` with the cell of every row that `keep` says; it returns the bytes that it
    /// allocated.
    #[inline]
    fn for_each(
        &mut self,
        groups: Option<&[u32]>,
        moments: Moments<'_>,
        keep: impl Fn(usize) -> bool,
        add: impl Fn(&mut C, usize) -> usize,
    ) -> Result<()> {
        self.for_each_run(moments, |rows, cells| {
            let mut allocated = 0;
            match groups {
                None => {
                    let cell = &mut cells[0];
                    for row in rows.filter(|&row| keep(row)) {
                        allocated += add(cell, row);
                    }
                }
                Some(groups) => {
                    for (row, &group) in rows.clone().zip(&groups[rows]) {
                        if keep(row) {
                            allocated += add(&mut cells[index(group)], row);
                        }
                    }
                }
            }
            allocated
        })
    }

    fn count(
        &mut self,
        groups: Option<&[u32]>,
        moments: Moments<'_>,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let add = |cell: &mut C, _row| {
            cell.add_spans(1);
            0
        };
        match (groups, filter) {
            (None, None) => self.for_each_run(moments, |rows, cells| {
                let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                cells[0].add_spans(count);
                0
            }),
            (groups, None) => self.for_each(groups, moments, |_| true, add),
            (groups, Some(filter)) => {
                self.for_each(groups, moments, |row| passes(filter, row), add)
            }
        }
    }

    fn allocated(&self) -> usize {
        self.vector_bytes + self.heap_bytes
    }
}

fn passes(filter: &BooleanArray, row: usize) -> bool {
    filter.is_valid(row) && filter.value(row)
}

fn index(group: u32) -> usize {
    usize::try_from(group).unwrap_or(usize::MAX)
}

impl<C: Viewable> RangeState for Dense<C> {
    fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    fn update(
        &mut self,
        groups: Option<&[u32]>,
        moments: Moments<'_>,
        values: Option<&ArrayRef>,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        if groups.is_none() {
            self.grow(1);
        }
        let Some(values) = values else {
            return self.count(groups, moments, filter);
        };
        let counted = |row: usize| filter.is_none_or(|filter| passes(filter, row));
        match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                let add = |cell: &mut C, row: usize| cell.add_int(values.values()[row]);
                if filter.is_none() && values.null_count() == 0 {
                    self.for_each(groups, moments, |_| true, add)
                } else {
                    let keep = |row: usize| values.is_valid(row) && counted(row);
                    self.for_each(groups, moments, keep, add)
                }
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>();
                let keep = |row: usize| {
                    values.is_valid(row) && !values.value(row).is_nan() && counted(row)
                };
                let add = |cell: &mut C, row: usize| cell.add_float(values.values()[row]);
                self.for_each(groups, moments, keep, add)
            }
            DataType::Null => Ok(()),
            other => internal_err!("cannot aggregate values of type {other}"),
        }
    }

    fn merge(&mut self, groups: &[u32], other: Box<dyn RangeState>) -> Result<()> {
        let other: Box<dyn Any> = other;
        let Ok(other) = other.downcast::<Self>() else {
            return internal_err!("aggregation states of another kind");
        };
        if other.cells.len() > self.cursor.intervals() {
            return internal_err!("aggregation states of another grid");
        }
        let in_place = (0..).zip(groups).all(|(own, &group)| group == own);
        if self.cells.is_empty() && in_place {
            // The first of many, and often the only one.
            self.groups = self.groups.max(other.groups);
            self.cells = other.cells;
            self.vector_bytes = other.vector_bytes;
            self.heap_bytes = other.heap_bytes;
            return self.check(self.allocated());
        }
        for (interval, theirs) in other.cells.into_iter().enumerate() {
            if theirs.is_empty() {
                continue;
            }
            let mine = self.open(interval)?;
            let (mut before, mut after) = (0, 0);
            for (cell, &group) in theirs.into_iter().zip(groups) {
                if !cell.is_empty() {
                    let mine = &mut mine[index(group)];
                    before += mine.heap_bytes();
                    mine.merge(cell);
                    after += mine.heap_bytes();
                }
            }
            self.heap_bytes = self.heap_bytes + after - before;
            self.check(self.allocated())?;
        }
        Ok(())
    }

    fn merge_part(
        &mut self,
        groups: &[u32],
        other: &dyn RangeState,
        placement: Placement,
    ) -> Result<()> {
        let other: &dyn Any = other;
        let Some(other) = other.downcast_ref::<Self>() else {
            return internal_err!("aggregation states of another kind");
        };
        let Placement { from, count, at } = placement;
        let end = index(at).saturating_add(index(count));
        if end > self.cursor.intervals() {
            return internal_err!("aggregation states of another grid");
        }
        let theirs = other.cells.iter().skip(index(from));
        for (interval, theirs) in (index(at)..end).zip(theirs) {
            if theirs.is_empty() {
                continue;
            }
            let mine = self.open(interval)?;
            let (mut before, mut after) = (0, 0);
            for (cell, &group) in theirs.iter().zip(groups) {
                if !cell.is_empty() {
                    let mine = &mut mine[index(group)];
                    before += mine.heap_bytes();
                    mine.merge(cell.clone());
                    after += mine.heap_bytes();
                }
            }
            self.heap_bytes = self.heap_bytes + after - before;
            self.check(self.allocated())?;
        }
        Ok(())
    }

    fn absorb(&mut self, groups: &[u32], states: &ArrayRef) -> Result<()> {
        let reader = StateReader::try_new(states)?;
        for (state, &group) in groups.iter().enumerate() {
            for row in reader.rows(state) {
                let interval = usize::try_from(row.interval).unwrap_or(usize::MAX);
                if interval >= self.cursor.intervals() {
                    return internal_err!("aggregation states of another grid");
                }
                let cell = &mut self.open(interval)?[index(group)];
                let before = cell.heap_bytes();
                cell.absorb(&row);
                let after = cell.heap_bytes();
                self.heap_bytes = self.heap_bytes + after - before;
            }
            self.check(self.allocated())?;
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> ArrayRef {
        let mut builder = StateBuilder::default();
        for group in 0..count.min(self.groups) {
            for (interval, cells) in (0_u32..).zip(&self.cells) {
                if let Some(cell) = cells.get(group).filter(|cell| !cell.is_empty()) {
                    self.heap_bytes -= cell.heap_bytes();
                    cell.rows(interval, |row| builder.push(row));
                }
            }
            builder.finish_group();
        }
        if count >= self.groups {
            self.cells = Vec::new();
            (self.groups, self.vector_bytes) = (0, 0);
        } else {
            for cells in &mut self.cells {
                cells.drain(..count.min(cells.len()));
            }
            self.groups -= count;
        }
        builder.finish()
    }

    fn new_empty(&self) -> Box<dyn RangeState> {
        Box::new(Self::new(self.cursor.clone(), self.limit))
    }

    fn group_count(&self) -> usize {
        self.groups
    }

    fn occupied_in(&self, intervals: Range<usize>) -> Vec<bool> {
        let mut occupied = vec![false; self.groups];
        for cells in self.cells.iter().take(intervals.end).skip(intervals.start) {
            for (occupied, cell) in occupied.iter_mut().zip(cells) {
                *occupied |= !cell.is_empty();
            }
        }
        occupied
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.allocated()
    }

    fn cells(&self) -> Cells<'_> {
        C::view(Matrix {
            intervals: self.cursor.intervals(),
            cells: &self.cells,
        })
    }
}
