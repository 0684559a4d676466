//! All cells of all groups, interval by interval.
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
use super::by_group::{ByGroup, ShownGroups, Starts};
use super::cell::{Cell, CountCell, ExtremeCell, SumCell};
use super::histogram::Log2Histogram;
use super::interval::{IntervalCursor, Moments};
use super::interval_cells::IntervalCells;
use super::rows::{StateBuilder, StateReader};
use super::sketch::Sketch;
use crate::grid::Placement;
use crate::index::index;
use crate::limit::MemoryLimit;
use crate::threads;

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
    groups: usize,
    cells: &'a [IntervalCells<C>],
}

impl<'a, C: Cell> Matrix<'a, C> {
    /// Number of groups.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The cells of each interval; of those behind the last with something counted there are none.
    pub(crate) fn by_interval(
        &self,
    ) -> impl Iterator<Item = Option<&'a IntervalCells<C>>> + use<'a, C> {
        let cells = self.cells;
        (0..self.intervals).map(|interval| cells.get(interval))
    }

    /// What the cells with something counted come to, by group.
    pub(crate) fn by_group<V: Copy>(
        &self,
        shown: ShownGroups<'_>,
        value: impl Fn(&'a C) -> V,
    ) -> ByGroup<V> {
        let counted = self.cells.iter().flat_map(|cells| shown.of(cells));
        let starts = Starts::of(self.groups, counted.map(|(group, _)| group));
        let valued = self.cells.iter().map(|cells| {
            let counted = shown.of(cells);
            counted.map(|(group, cell)| (group, value(cell)))
        });
        starts.fill(valued)
    }

    /// As [`by_group`](Self::by_group), on all threads if groups are many. For when no job runs any
    /// more.
    pub(crate) fn by_group_on_threads<V: Copy + Send>(
        &self,
        shown: ShownGroups<'_>,
        value: impl Fn(&'a C) -> V + Send + Sync,
    ) -> ByGroup<V> {
        if !threads::are_worth(self.groups) {
            return self.by_group(shown, value);
        }
        let valued = threads::map(self.groups, self.cells, |cells| {
            let counted = shown.of(cells);
            let valued = counted.map(|(group, cell)| (group, value(cell)));
            valued.collect::<Vec<_>>()
        });
        let counted = valued.iter().flatten().map(|(group, _)| *group);
        Starts::of(self.groups, counted).fill(valued)
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
        StateKind::Count => Box::new(States::<CountCell>::new(cursor, limit)),
        StateKind::Sum => Box::new(States::<SumCell>::new(cursor, limit)),
        StateKind::Min => Box::new(States::<ExtremeCell<1>>::new(cursor, limit)),
        StateKind::Max => Box::new(States::<ExtremeCell<-1>>::new(cursor, limit)),
        StateKind::Sketch => Box::new(States::<Sketch>::new(cursor, limit)),
        StateKind::Log2 => Box::new(States::<Log2Histogram>::new(cursor, limit)),
    }
}

#[derive(Debug)]
struct States<C> {
    /// By interval up to the last with something in it.
    cells: Vec<IntervalCells<C>>,
    groups: usize,
    cursor: IntervalCursor,
    /// What the cells take themselves.
    cell_bytes: usize,
    /// What the cells hold outside of themselves.
    heap_bytes: usize,
    limit: MemoryLimit,
}

impl<C: Cell> States<C> {
    fn new(cursor: IntervalCursor, limit: MemoryLimit) -> Self {
        Self {
            cells: Vec::new(),
            groups: 0,
            cursor,
            cell_bytes: 0,
            heap_bytes: 0,
            limit,
        }
    }

    /// The cells of one interval, with room for all groups.
    #[inline]
    fn open(&mut self, interval: usize) -> Result<&mut IntervalCells<C>> {
        let groups = self.groups;
        let cells = self.cells.get(interval);
        if cells.is_none_or(|cells| !cells.has_room(groups)) {
            self.extend(interval)?;
        }
        Ok(&mut self.cells[interval])
    }

    fn extend(&mut self, interval: usize) -> Result<()> {
        if interval >= self.cells.len() {
            self.cells.resize_with(interval + 1, IntervalCells::new);
        }
        let (held, limit) = (self.allocated(), self.limit);
        let cells = &mut self.cells[interval];
        let before = cells.bytes();
        cells.make_room(self.groups, |more| check(limit, held.saturating_add(more)))?;
        self.cell_bytes = self.cell_bytes + cells.bytes() - before;
        Ok(())
    }

    /// Calls `add` with every run of rows of one interval and the cells of that interval; it returns
    /// the bytes that cells allocated.
    #[inline]
    fn for_each_run(
        &mut self,
        moments: Moments<'_>,
        mut add: impl FnMut(Range<usize>, &mut IntervalCells<C>) -> usize,
    ) -> Result<()> {
        let rows = moments.len();
        let mut row = 0;
        while row < rows {
            let (interval, length) = moments.run(row, &mut self.cursor);
            if let Some(interval) = interval {
                self.change(interval, |cells| add(row..row + length, cells))?;
            }
            row += length;
        }
        Ok(())
    }

    /// Calls `add` with the cells of an interval; it returns the bytes that cells allocated, less
    /// those that they gave back.
    #[inline]
    fn change(
        &mut self,
        interval: usize,
        add: impl FnOnce(&mut IntervalCells<C>) -> usize,
    ) -> Result<()> {
        let cells = self.open(interval)?;
        let before = cells.bytes();
        let allocated = add(cells);
        let grown = cells.bytes() - before;
        if allocated > 0 || grown > 0 {
            self.heap_bytes += allocated;
            self.cell_bytes += grown;
            check(self.limit, self.allocated())?;
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
            match (groups, cells) {
                (None, cells) => {
                    let cell = cells.cell(0);
                    for row in rows.filter(|&row| keep(row)) {
                        allocated += add(cell, row);
                    }
                }
                (Some(groups), IntervalCells::Dense(cells)) => {
                    for (row, &group) in rows.clone().zip(&groups[rows]) {
                        if keep(row) {
                            allocated += add(&mut cells[index(group)], row);
                        }
                    }
                }
                (Some(groups), cells @ IntervalCells::Sparse(_)) => {
                    for (row, &group) in rows.clone().zip(&groups[rows]) {
                        if keep(row) {
                            allocated += add(cells.cell(group), row);
                        }
                    }
                }
            }
            allocated
        })
    }

    /// Adds cells of an interval of others, of which group `i` is group `groups[i]` here.
    fn merge_interval(
        &mut self,
        interval: usize,
        groups: &[u32],
        theirs: impl Iterator<Item = (u32, C)>,
    ) -> Result<()> {
        self.change(interval, |mine| {
            let (mut before, mut after) = (0, 0);
            for (group, cell) in theirs {
                let mine = mine.cell(groups[index(group)]);
                before += mine.heap_bytes();
                mine.merge(cell);
                after += mine.heap_bytes();
            }
            after - before
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
                cells.cell(0).add_spans(count);
                0
            }),
            (groups, None) => self.for_each(groups, moments, |_| true, add),
            (groups, Some(filter)) => {
                self.for_each(groups, moments, |row| passes(filter, row), add)
            }
        }
    }

    fn matrix(&self) -> Matrix<'_, C> {
        Matrix {
            intervals: self.cursor.intervals(),
            groups: self.groups,
            cells: &self.cells,
        }
    }

    fn allocated(&self) -> usize {
        let intervals = self.cells.capacity() * size_of::<IntervalCells<C>>();
        intervals + self.cell_bytes + self.heap_bytes
    }
}

fn check(limit: MemoryLimit, bytes: usize) -> Result<()> {
    let checked = limit.check(bytes);
    checked.map_err(|error| DataFusionError::External(Box::new(error)))
}

fn passes(filter: &BooleanArray, row: usize) -> bool {
    filter.is_valid(row) && filter.value(row)
}

impl<C: Viewable> RangeState for States<C> {
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
            self.cell_bytes = other.cell_bytes;
            self.heap_bytes = other.heap_bytes;
            return check(self.limit, self.allocated());
        }
        for (interval, theirs) in other.cells.into_iter().enumerate() {
            if !theirs.is_vacant() {
                self.merge_interval(interval, groups, theirs.into_iter())?;
            }
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
            if !theirs.is_vacant() {
                let theirs = theirs.iter().map(|(group, cell)| (group, cell.clone()));
                self.merge_interval(interval, groups, theirs)?;
            }
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
                self.change(interval, |cells| {
                    let cell = cells.cell(group);
                    let before = cell.heap_bytes();
                    cell.absorb(&row);
                    cell.heap_bytes() - before
                })?;
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> ArrayRef {
        let mut builder = StateBuilder::default();
        let by_group = self.matrix().by_group(ShownGroups::All, |cell| cell);
        let mut freed = 0;
        for group in 0..count.min(self.groups) {
            for (interval, cell) in by_group.group(group) {
                freed += cell.heap_bytes();
                cell.rows(*interval, |row| builder.push(row));
            }
            builder.finish_group();
        }
        self.heap_bytes -= freed;
        if count >= self.groups {
            self.cells = Vec::new();
        }
        for cells in &mut self.cells {
            cells.drop_first(count);
        }
        self.cell_bytes = self.cells.iter().map(IntervalCells::bytes).sum();
        self.groups = self.groups.saturating_sub(count);
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
            for (group, _) in cells.iter() {
                occupied[index(group)] = true;
            }
        }
        occupied
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.allocated()
    }

    fn cells(&self) -> Cells<'_> {
        C::view(self.matrix())
    }
}
