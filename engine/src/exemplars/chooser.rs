//! Which spans of a job may be shown, chosen in the pass that aggregates them.
//!
//! Of each row group and interval three spans are kept at most: the one with the largest value, because
//! slow ones are what people look for, and two samples of the others. Each is the first in a fixed order
//! of the row group's spans. So the choice does not depend on how a block is cut into jobs, nor on the
//! window of a query: the spans of an interval are the same in every window that it lies in.
//!
//! Samples are to be of many series. An order by a hash of the series would look at every row for
//! that; so rows come first whose number is a multiple of 256, then of 128, and so on, and the hash decides
//! among those. Where spans are many it is asked for one in 256, and where they are few all of them count.

use std::sync::Arc;

use datafusion::error::Result;
use storage::ids::BlockId;

use super::candidate::{Candidate, Role, SAMPLES, SpanPlace};
use super::candidates::Candidates;
use super::cells::{Cell, Cells, TOP_TIER, order, salt, shifted, tier};
use super::values::{Located, RowValues};
use crate::aggregate::StateKind;
use crate::aggregate::interval::{IntervalCursor, Moments, OUTSIDE};
use crate::functions::range_udaf::RangeArguments;
use crate::index::index;
use crate::key::Grouping;
use crate::rows::Rows;
use crate::spanset::number::Number;

/// Chooses among the spans of a job.
#[derive(Debug)]
pub(crate) struct Chooser {
    block: BlockId,
    kind: StateKind,
    cursor: IntervalCursor,
    /// The place of the row group's first row in the block.
    first_row: usize,
    cells: Cells,
    /// Of the keys of groups, mixed with `salt`.
    hashes: Vec<u64>,
    salt: u64,
    /// Of the row groups that are done.
    found: Candidates,
}

/// Rows that are considered.
#[derive(Clone, Copy)]
struct Offered<'a> {
    kind: StateKind,
    /// The place in the block that rows are counted from.
    first: usize,
    rows: &'a Rows,
    groups: Option<&'a [u32]>,
    hashes: &'a [u64],
    values: OfferedValues<'a>,
}

/// Values of rows that are considered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OfferedValues<'a> {
    /// Where the largest of an interval may be; `None` if it is none of these rows.
    pub(crate) ranks: Option<&'a RowValues>,
    /// What is aggregated; `None` if rows are only counted.
    pub(crate) aggregated: Option<&'a RowValues>,
}

impl Chooser {
    /// Nothing chosen yet of the spans of a block, for a state of this kind over a grid.
    pub(crate) fn new(block: BlockId, kind: StateKind, arguments: &RangeArguments) -> Self {
        let grid = (arguments.start, arguments.step, arguments.intervals);
        Self {
            block,
            kind,
            cursor: arguments.cursor(),
            first_row: 0,
            cells: Cells::default(),
            hashes: Vec::new(),
            salt: salt(block),
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
        self.cells.bytes() + self.hashes.capacity() * size_of::<u64>() + self.found.least_bytes()
    }

    /// In which intervals rows are; `intervals` has room for those of each.
    pub(crate) fn locate<'a>(
        &mut self,
        moments: Moments<'a>,
        intervals: &'a mut Vec<u32>,
    ) -> Located<'a> {
        match moments {
            Moments::Same { interval, .. } => Located::One(interval),
            Moments::Intervals(intervals) => Located::of(intervals),
            Moments::Times(times) => {
                let interval = |&time: &i64| {
                    let found = self.cursor.find(time).map(u32::try_from);
                    found.and_then(|found| found.ok()).unwrap_or(OUTSIDE)
                };
                intervals.clear();
                intervals.extend(times.iter().map(interval));
                Located::of(intervals)
            }
        }
    }

    /// Whether a span with a value up to `most` can be the largest of its interval, if it is among these
    /// rows.
    pub(crate) fn wants(&self, located: Located<'_>, most: i64) -> bool {
        let wants = |interval: usize| {
            let cell = self.cells.get(interval);
            cell.is_none_or(|cell| cell.wants(Number::Int(most)))
        };
        match located {
            Located::Outside => false,
            Located::One(interval) => wants(interval),
            Located::Each { first, last, .. } => (first..=last).any(wants),
        }
    }

    /// Considers some rows, by their distance from a row of the row group, that follow those considered
    /// before.
    pub(crate) fn offer(
        &mut self,
        (first, rows): (usize, &Rows),
        located: Located<'_>,
        (groups, grouping): (Option<&[u32]>, &Grouping),
        values: OfferedValues<'_>,
    ) -> Result<()> {
        if self.hashes.len() < grouping.len() {
            let hashes = grouping.hashes(self.hashes.len())?.into_iter();
            self.hashes.extend(hashes.map(|hash| hash ^ self.salt));
        }
        let offered = Offered {
            kind: self.kind,
            first: self.first_row + first,
            rows,
            groups,
            hashes: &self.hashes,
            values,
        };
        match located {
            Located::Outside => {}
            Located::One(interval) => offered.of_one(self.cells.of(interval)),
            Located::Each {
                intervals,
                first,
                last,
            } => offered.of_several(intervals, first, self.cells.between(first, last)),
        }
        Ok(())
    }

    /// Takes down what was found in the row group.
    fn close(&mut self) {
        for (interval, cell) in self.cells.take() {
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

impl Offered<'_> {
    fn place(&self, at: usize) -> usize {
        self.first + self.rows.get(at)
    }

    /// Considers all of the rows for one interval.
    fn of_one(&self, cell: &mut Cell) {
        if let Some(values) = self.values.ranks
            && let Some((at, value)) = values.largest(self.kind)
            && cell.wants(value)
        {
            cell.largest = Some((self.place(at), value));
        }
        for number in 0..SAMPLES {
            self.each_tier(number, |tier, rows| {
                if !cell.samples_from(tier, number) {
                    return false;
                }
                rows.for_each(|at| self.sample(cell, at, (tier, number)));
                true
            });
        }
    }

    /// Considers the rows for an interval each, which are some of those from `first` on.
    fn of_several(&self, intervals: &[u32], first: usize, cells: &mut [Cell]) {
        // What is outside is beyond the last.
        let cell_of = |interval: u32| index(interval).wrapping_sub(first);
        if let Some(values) = self.values.ranks {
            values.each(self.kind, |at, value| {
                let interval = intervals.get(at).copied().unwrap_or(OUTSIDE);
                if let Some(cell) = cells.get_mut(cell_of(interval))
                    && cell.wants(value)
                {
                    cell.largest = Some((self.place(at), value));
                }
            });
        }
        for number in 0..SAMPLES {
            // Those in between may have no rows here; then there is nothing to wait for.
            let mut present = Vec::new();
            if !cells.iter().all(|cell| cell.samples_from_top(number)) {
                present.resize(cells.len(), false);
                for &interval in intervals {
                    if let Some(present) = present.get_mut(cell_of(interval)) {
                        *present = true;
                    }
                }
            }
            self.each_tier(number, |tier, rows| {
                let mut wanting = cells.iter().zip(&present);
                let waits = wanting.any(|(cell, here)| *here && cell.samples_from(tier, number));
                if tier < TOP_TIER && !waits {
                    return false;
                }
                for at in rows {
                    let interval = intervals.get(at).copied().unwrap_or(OUTSIDE);
                    if let Some(cell) = cells.get_mut(cell_of(interval))
                        && cell.samples_from(tier, number)
                    {
                        self.sample(cell, at, (tier, number));
                    }
                }
                true
            });
        }
    }

    /// Hands over the rows of each tier, from the top down, for as long as `act` says.
    fn each_tier(
        &self,
        number: usize,
        mut act: impl FnMut(u32, &mut dyn Iterator<Item = usize>) -> bool,
    ) {
        let count = self.rows.len();
        for of_tier in (0..=TOP_TIER).rev() {
            let goes_on = match self.rows {
                Rows::All(_) => {
                    let step = 1 << of_tier;
                    let first = shifted(self.place(0), number);
                    let before = first.next_multiple_of(step) - first;
                    let multiples = (before..count).step_by(step);
                    // Every other one is of a higher tier, but for the top.
                    let is_of_tier = |at: &usize| tier(self.place(*at), number) == of_tier;
                    act(of_tier, &mut multiples.filter(is_of_tier))
                }
                Rows::Some(_) => {
                    let is_of_tier = |at: &usize| tier(self.place(*at), number) == of_tier;
                    act(of_tier, &mut (0..count).filter(is_of_tier))
                }
            };
            if !goes_on {
                break;
            }
        }
    }

    /// Considers a row as a sample, if it counts.
    fn sample(&self, cell: &mut Cell, at: usize, (tier, number): (u32, usize)) {
        let value = match self.values.aggregated {
            Some(values) => values.get(at, self.kind),
            None => Some(Number::Int(0)),
        };
        if let Some(value) = value {
            let place = self.place(at);
            let group = self.groups.and_then(|groups| groups.get(at)).copied();
            let hash = self.hashes.get(index(group.unwrap_or_default())).copied();
            let order = order(tier, place, hash.unwrap_or_default(), number);
            cell.sample(number, tier, (place, value, order));
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::DataType;
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::limit::MemoryLimit;

    const BLOCK: BlockId = BlockId(Ulid(7));

    fn arguments() -> RangeArguments {
        RangeArguments {
            start: 0,
            step: 10,
            intervals: 10,
            limit: MemoryLimit {
                bytes: 1 << 20,
                key: "k",
            },
        }
    }

    fn chooser() -> Chooser {
        Chooser::new(BLOCK, StateKind::Count, &arguments())
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
            let rows = if all {
                Rows::All(spans.len())
            } else {
                Rows::Some((0..).take(spans.len()).collect())
            };
            let mut intervals = Vec::new();
            let located = chooser.locate(Moments::Times(&times), &mut intervals);
            let most = spans.iter().map(|span| span.1).max().unwrap();
            let wanted = chooser.wants(located, most);
            let values = OfferedValues {
                ranks: wanted.then_some(&values),
                aggregated: None,
            };
            chooser
                .offer((first, &rows), located, (None, &grouping), values)
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

    #[test]
    fn all_series_have_their_turn() {
        // Of twenty series one has most of the spans.
        let noise = |row: u32| row.wrapping_mul(2_654_435_761) >> 16;
        let group = |noise: u32| {
            if noise.is_multiple_of(5) {
                noise / 5 % 20
            } else {
                0
            }
        };
        let groups: Vec<u32> = (0..8192).map(|row| group(noise(row))).collect();
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20));
        let mut sampled = std::collections::BTreeSet::new();
        for block in 0..100 {
            let arguments = arguments();
            let block = BlockId(Ulid(block));
            let mut chooser = Chooser::new(block, StateKind::Count, &arguments);
            let mut grouping = Grouping::new([&DataType::Int64]);
            grouping.groups(&[Arc::clone(&keys)]).unwrap();
            let rows = Rows::All(groups.len());
            let values = OfferedValues {
                ranks: None,
                aggregated: None,
            };
            let of = (Some(&groups[..]), &grouping);
            chooser
                .offer((0, &rows), Located::One(3), of, values)
                .unwrap();
            let rows = chooser.finish();
            let rows = rows
                .each()
                .map(|(_, span)| usize::try_from(span.place.row).unwrap());
            sampled.extend(rows.map(|row| groups[row]));
        }
        assert!(sampled.len() > 10, "{sampled:?}");
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
