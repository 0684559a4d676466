//! Which spans of a job may be shown, chosen in the pass that aggregates them.
//!
//! Of each row group and interval three spans are kept at most: the one with the largest value, because
//! slow ones are what people look for, and two samples of the others. Each is the first in a fixed order
//! of the row group's spans. So the choice does not depend on how a block is cut into jobs, nor on the
//! window of a query: the spans of an interval are the same in every window that it lies in.
//!
//! Samples are to be of many series. An order by a hash of the series would look at every row for
//! that; so rows come first whose number is a multiple of 64, then of 32, and so on, and the hash decides
//! among those. Where spans are many it is asked for one in 64, and where they are few all of them count.

use std::mem::take;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;
use storage::ids::BlockId;

use super::candidate::{Candidate, Role, SAMPLES, SpanPlace, by_value};
use super::candidates::Candidates;
use crate::aggregate::StateKind;
use crate::aggregate::histogram::{float_bucket, int_bucket};
use crate::aggregate::interval::{IntervalCursor, Moments};
use crate::functions::range_udaf::RangeArguments;
use crate::index::index;
use crate::key::Grouping;
use crate::spanset::number::Number;

/// Rows of a multiple of this power of two come first among samples.
const TOP_TIER: u32 = 6;
/// So many rows, as a power of two, have the same order of series.
const STRETCH: u32 = 14;

/// Chooses among the spans of a job.
#[derive(Debug)]
pub(crate) struct Chooser {
    block: BlockId,
    kind: StateKind,
    cursor: IntervalCursor,
    /// The place of the row group's first row in the block.
    first_row: usize,
    /// Of the intervals from `first_interval` on.
    cells: Vec<Cell>,
    first_interval: usize,
    /// Of the keys of groups.
    hashes: Vec<u64>,
    /// Of the row groups that are done.
    found: Candidates,
}

/// What was found so far of one interval, by row in the block.
#[derive(Debug, Clone, Default)]
struct Cell {
    largest: Option<(usize, Number)>,
    samples: [Option<Sample>; SAMPLES],
    /// Of what tiers these are.
    tiers: [u32; SAMPLES],
}

/// A row, its value, and its order among samples.
type Sample = (usize, Number, u64);

/// Some rows of a row group, ascending.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChosenFrom<'a> {
    /// So many from a row on.
    All { first: usize, count: usize },
    /// Those at some distances from a row.
    Some { first: usize, rows: &'a [u32] },
}

/// Values of rows: what is aggregated of them, or their durations where they are only counted.
#[derive(Debug, Clone)]
pub(crate) enum RowValues {
    Int(Int64Array),
    Float(Float64Array),
}

impl Chooser {
    /// Nothing chosen yet of the spans of a block, for a state of this kind over a grid.
    pub(crate) fn new(block: BlockId, kind: StateKind, arguments: &RangeArguments) -> Self {
        let cursor = arguments.cursor();
        let grid = (arguments.start, arguments.step, arguments.intervals);
        Self {
            block,
            kind,
            cursor,
            first_row: 0,
            cells: Vec::new(),
            first_interval: 0,
            hashes: Vec::new(),
            found: Candidates::new(grid, arguments.limit),
        }
    }

    /// Goes on to the row group whose first row has this place in the block.
    pub(crate) fn open(&mut self, first_row: usize) {
        self.close();
        self.first_row = first_row;
    }

    /// What was chosen.
    pub(crate) fn finish(mut self) -> Candidates {
        self.close();
        self.found
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
            + self.hashes.capacity() * size_of::<u64>()
            + self.found.bytes()
    }

    /// Whether a span with a value up to `most` can be the largest of its interval, if it is among these
    /// rows.
    pub(crate) fn wants(&mut self, moments: Moments<'_>, most: i64) -> bool {
        let mut row = 0;
        while row < moments.len() {
            let (interval, length) = moments.run(row, &mut self.cursor);
            if let Some(interval) = interval {
                let cell = interval.checked_sub(self.first_interval);
                let largest = cell
                    .and_then(|cell| self.cells.get(cell))
                    .and_then(|cell| cell.largest);
                if largest.is_none_or(|(_, largest)| is_larger(Number::Int(most), largest)) {
                    return true;
                }
            }
            row += length;
        }
        false
    }

    /// Considers some rows that follow those considered before. Without `values` none of them is the
    /// largest of its interval.
    pub(crate) fn offer(
        &mut self,
        rows: ChosenFrom<'_>,
        moments: Moments<'_>,
        (groups, grouping): (Option<&[u32]>, &Grouping),
        values: Option<&RowValues>,
    ) -> Result<()> {
        if self.hashes.len() < grouping.len() {
            self.hashes.extend(grouping.hashes(self.hashes.len())?);
        }
        let count = rows.len().min(moments.len());
        let mut at = 0;
        while at < count {
            let (interval, length) = moments.run(at, &mut self.cursor);
            let run = at..count.min(at + length);
            at = run.end;
            let Some(interval) = interval else {
                continue;
            };
            let cell = cell(&mut self.cells, &mut self.first_interval, interval);
            let place = |at: usize| self.first_row + rows.get(at);
            if let Some(values) = values
                && let Some((at, value)) = values.largest(run.clone(), self.kind)
                && cell.largest.is_none_or(|(_, held)| is_larger(value, held))
            {
                cell.largest = Some((place(at), value));
            }
            for number in 0..SAMPLES {
                let sampled = |cell: &mut Cell, at: usize, tier: u32| {
                    let value = match values {
                        Some(values) => values.get(at, self.kind),
                        None => Some(Number::Int(0)),
                    };
                    if let Some(value) = value {
                        let group = groups.and_then(|groups| groups.get(at)).copied();
                        let hash = self.hashes.get(index(group.unwrap_or_default())).copied();
                        let order = order(tier, place(at), hash.unwrap_or_default(), number);
                        cell.sample(number, tier, (place(at), value, order));
                    }
                };
                // Rows of lower tiers are no samples any more.
                let least = cell.tiers[number];
                match rows {
                    ChosenFrom::All { .. } => {
                        for tier in (least..=TOP_TIER).rev() {
                            let step = 1 << tier;
                            let first = shifted(place(run.start), number);
                            let before = first.next_multiple_of(step) - first;
                            for at in (run.start + before..run.end).step_by(step) {
                                sampled(cell, at, tier);
                            }
                            // All others are of a lower tier.
                            if cell.samples[number].is_some() && cell.tiers[number] >= tier {
                                break;
                            }
                        }
                    }
                    ChosenFrom::Some { .. } => {
                        for at in run.clone() {
                            let tier = tier(place(at), number);
                            if tier >= cell.tiers[number] {
                                sampled(cell, at, tier);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes down what was found in the row group.
    fn close(&mut self) {
        for (cell, interval) in take(&mut self.cells).into_iter().zip(self.first_interval..) {
            let interval = u32::try_from(interval).unwrap_or(u32::MAX);
            let mut keep = |row: usize, value, role| {
                let row = u64::try_from(row).unwrap_or(u64::MAX);
                let place = SpanPlace {
                    block: self.block,
                    row,
                };
                let candidate = Candidate::new(place, value, role);
                self.found.add(interval, Arc::new(candidate));
            };
            if let Some((row, value)) = cell.largest {
                keep(row, value, Role::Largest);
            }
            for (number, sample) in (0..).zip(cell.samples) {
                if let Some((row, value, order)) = sample {
                    keep(row, value, Role::Sample { number, order });
                }
            }
        }
    }
}

/// The cell of an interval.
fn cell<'c>(cells: &'c mut Vec<Cell>, first: &mut usize, interval: usize) -> &'c mut Cell {
    if cells.is_empty() {
        *first = interval;
    }
    // Spans are nearly in order of time.
    if interval < *first {
        let before = *first - interval;
        cells.splice(0..0, std::iter::repeat_n(Cell::default(), before));
        *first = interval;
    }
    let at = interval - *first;
    if at >= cells.len() {
        cells.resize(at + 1, Cell::default());
    }
    &mut cells[at]
}

impl Cell {
    fn sample(&mut self, number: usize, tier: u32, sample: Sample) {
        self.tiers[number] = self.tiers[number].max(tier);
        let (_, _, order) = sample;
        let held = &mut self.samples[number];
        let is_first = match held {
            None => true,
            Some((_, _, held)) if number == 0 => order < *held,
            // Where all is equal else, samples are from both ends.
            Some((_, _, held)) => order <= *held,
        };
        if is_first {
            *held = Some(sample);
        }
    }
}

/// A row's place as tiers have it, which is odd in one sample where it is even in the other: of two
/// neighbours each is a sample.
const fn shifted(row: usize, number: usize) -> usize {
    const ODD: usize = 33;
    row + number * ODD
}

fn tier(row: usize, number: usize) -> u32 {
    shifted(row, number).trailing_zeros().min(TOP_TIER)
}

/// The order of a row among samples: by tier, then by a hash of its series, which is another one for
/// each stretch of rows and each sample.
fn order(tier: u32, row: usize, hash: u64, number: usize) -> u64 {
    /// Bits that hashes are left.
    const BITS: u32 = 60;
    let stretch = u64::try_from((row >> STRETCH) * SAMPLES + number).unwrap_or(u64::MAX);
    let hash = mix(hash ^ mix(stretch));
    u64::from(TOP_TIER - tier) << BITS | hash >> (u64::BITS - BITS)
}

/// The finalizer of `SplitMix64`.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn is_larger(value: Number, held: Number) -> bool {
    by_value(value, held).is_gt()
}

impl ChosenFrom<'_> {
    fn len(&self) -> usize {
        match self {
            Self::All { count, .. } => *count,
            Self::Some { rows, .. } => rows.len(),
        }
    }

    fn get(&self, at: usize) -> usize {
        match self {
            Self::All { first, .. } => first + at,
            Self::Some { first, rows } => first + rows.get(at).map_or(0, |row| index(*row)),
        }
    }
}

impl RowValues {
    /// Values as they are aggregated.
    ///
    /// # Errors
    /// If they are no numbers.
    pub(crate) fn try_new(values: &ArrayRef) -> Result<Self> {
        Ok(if values.data_type().is_floating() {
            let values = cast(values, &DataType::Float64)?;
            Self::Float(values.as_primitive::<Float64Type>().clone())
        } else {
            let values = cast(values, &DataType::Int64)?;
            Self::Int(values.as_primitive::<Int64Type>().clone())
        })
    }

    /// The value of a row; `None` if it does not count.
    fn get(&self, row: usize, kind: StateKind) -> Option<Number> {
        let value = match self {
            Self::Int(values) if values.is_valid(row) => Number::Int(values.value(row)),
            Self::Float(values) if values.is_valid(row) => Number::Float(values.value(row)),
            _ => return None,
        };
        counts(value, kind).then_some(value)
    }

    /// The first of the rows with the largest value among those that count, and the value.
    fn largest(&self, rows: std::ops::Range<usize>, kind: StateKind) -> Option<(usize, Number)> {
        if let Self::Int(values) = self
            && values.null_count() == 0
        {
            let values = values.values().get(rows.clone())?;
            let most = values.iter().copied().max()?;
            let value = Number::Int(most);
            if !counts(value, kind) {
                return None;
            }
            let at = values.iter().position(|value| *value == most)?;
            return Some((rows.start + at, value));
        }
        let mut largest: Option<(usize, Number)> = None;
        for row in rows {
            if let Some(value) = self.get(row, kind)
                && largest.is_none_or(|(_, held)| is_larger(value, held))
            {
                largest = Some((row, value));
            }
        }
        largest
    }
}

/// Whether a function that keeps such states counts a span with this value.
fn counts(value: Number, kind: StateKind) -> bool {
    match value {
        Number::Int(value) | Number::Duration(value) => {
            kind != StateKind::Log2 || int_bucket(value).is_some()
        }
        Number::Float(value) => {
            !value.is_nan() && (kind != StateKind::Log2 || float_bucket(value).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::limit::MemoryLimit;

    const BLOCK: BlockId = BlockId(Ulid(7));

    fn chooser() -> Chooser {
        let arguments = RangeArguments {
            start: 0,
            step: 10,
            intervals: 10,
            limit: MemoryLimit {
                bytes: 1 << 20,
                key: "k",
            },
        };
        Chooser::new(BLOCK, StateKind::Count, &arguments)
    }

    /// What is chosen of rows with these times and durations, offered so many at once.
    fn chosen(spans: &[(i64, i64)], at_once: usize, all: bool) -> Vec<String> {
        let mut chooser = chooser();
        chooser.open(1000);
        let grouping = Grouping::new([]);
        for (part, spans) in spans.chunks(at_once.max(1)).enumerate() {
            let first = part * at_once.max(1);
            let times: Vec<i64> = spans.iter().map(|span| span.0).collect();
            let durations = spans.iter().map(|span| span.1);
            let values = RowValues::Int(Int64Array::from_iter_values(durations));
            let rows: Vec<u32> = (0..).take(spans.len()).collect();
            let rows = if all {
                let count = spans.len();
                ChosenFrom::All { first, count }
            } else {
                ChosenFrom::Some { first, rows: &rows }
            };
            let moments = Moments::Times(&times);
            let most = spans.iter().map(|span| span.1).max().unwrap();
            let wanted = chooser.wants(moments, most);
            let values = wanted.then_some(&values);
            chooser
                .offer(rows, moments, (None, &grouping), values)
                .unwrap();
        }
        let found = chooser.finish();
        let shown = |(interval, candidate): (u32, &Candidate)| {
            let row = candidate.place.row;
            match candidate.role {
                Role::Largest => format!("{interval}: {row} {:?}", candidate.value.as_float()),
                Role::Sample { number, order } => format!("{interval}: {row} {number} {order}"),
            }
        };
        found.each().map(shown).collect()
    }

    #[test]
    fn the_largest_and_two_samples() {
        let spans = [(1, 5), (2, 9), (3, 9), (11, 1)];
        let found = chosen(&spans, 4, true);
        // Row 1000 is a multiple of eight, and row 1001 with 33 of two.
        assert!(found[0].starts_with("0: 1001 9"), "{found:?}");
        assert!(found[1].starts_with("0: 1000 0 "), "{found:?}");
        assert!(found[2].starts_with("0: 1001 1 "), "{found:?}");
        assert!(found[3].starts_with("1: 1003 1"), "{found:?}");
        assert_eq!(found.len(), 6);
    }

    proptest! {
        #[test]
        fn windows_make_no_difference(
            spans in prop::collection::vec((-5_i64..110, 0_i64..50), 0..400),
            at_once in 1_usize..200,
        ) {
            let whole = chosen(&spans, spans.len(), true);
            prop_assert_eq!(&chosen(&spans, at_once, true), &whole);
            prop_assert_eq!(&chosen(&spans, at_once, false), &whole);
            for (interval, most) in (0..10_i64).map(|interval| {
                let of_interval = spans.iter().filter(|span| {
                    span.0 > interval * 10 && span.0 <= interval * 10 + 10
                });
                (interval, of_interval.map(|span| span.1).max())
            }) {
                let start = format!("{interval}: ");
                let found: Vec<_> = whole.iter().filter(|line| line.starts_with(&start)).collect();
                match most {
                    None => prop_assert!(found.is_empty()),
                    Some(most) => {
                        prop_assert_eq!(found.len(), 3);
                        let end = format!(" {most}.0");
                        prop_assert!(found[0].ends_with(&end));
                    }
                }
            }
        }
    }
}
