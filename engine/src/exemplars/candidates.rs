//! The spans that may be shown beside the series of some jobs.

use std::sync::Arc;

use super::MAX_EXEMPLARS;
use super::candidate::{Candidate, Chosen, HELD_BYTES, Role, SAMPLES};
use crate::error::EngineError;
use crate::grid::Placement;
use crate::index::index;
use crate::limit::MemoryLimit;

/// Exemplars of one part of time, of which one is the largest.
const OF_PART: usize = 2;
/// Most parts that time is cut into.
const MAX_PARTS: usize = MAX_EXEMPLARS / OF_PART;

/// Spans that may be shown, each in its interval. Those of jobs merge in any order, and what is chosen of
/// them in the end is what would be chosen of all at once.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Intervals of the grid.
    intervals: u32,
    /// The number of the first, counted from the epoch.
    first: i64,
    limit: MemoryLimit,
    placed: Vec<Placed>,
    /// How many there were when all that can be left out had been.
    reduced: usize,
}

/// Parts of time that have exemplars each.
struct Parts {
    /// Intervals of a part; `None` if parts are pieces of intervals.
    intervals: Option<i64>,
    /// The number of the first interval, counted from the epoch.
    first: i64,
    pieces: i64,
}

#[derive(Debug, Clone)]
struct Placed {
    interval: u32,
    candidate: Arc<Candidate>,
}

/// About what a span takes, with what it may be shown with.
const CANDIDATE_BYTES: usize = size_of::<Placed>() + size_of::<Candidate>() + HELD_BYTES;

impl Candidates {
    /// None yet, in intervals of the start, the length and the number of `grid`, whatever its unit.
    pub(crate) const fn new(grid: (i64, i64, u32), limit: MemoryLimit) -> Self {
        let (start, step, intervals) = grid;
        Self {
            intervals,
            first: start.div_euclid(step),
            limit,
            placed: Vec::new(),
            reduced: 0,
        }
    }

    pub(super) fn add(&mut self, interval: u32, candidate: Arc<Candidate>) {
        self.placed.push(Placed {
            interval,
            candidate,
        });
    }

    /// Adds those of other spans of the same query. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if they take more than the query may hold.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        self.placed.extend(other.placed);
        self.make_room()
    }

    /// Adds those that other spans have in some intervals, and leaves these as they are.
    ///
    /// # Errors
    /// As for [`Self::merge`].
    pub(crate) fn merge_part(
        &mut self,
        part: &Self,
        placement: Placement,
    ) -> Result<(), EngineError> {
        let Placement { from, count, at } = placement;
        let moved = |placed: &Placed| {
            let interval = placed.interval.checked_sub(from)?;
            (interval < count).then(|| Placed {
                interval: at.saturating_add(interval),
                candidate: Arc::clone(&placed.candidate),
            })
        };
        self.placed.extend(part.placed.iter().filter_map(moved));
        self.make_room()
    }

    /// Bytes held, about, with what each may be shown with.
    pub(crate) fn bytes(&self) -> usize {
        let shown = self.placed.iter().map(|placed| {
            let shown = placed.candidate.shown_bytes();
            shown.saturating_sub(HELD_BYTES)
        });
        self.least_bytes() + shown.sum::<usize>()
    }

    /// The same as long as it was not read what they are shown with.
    pub(super) const fn least_bytes(&self) -> usize {
        self.placed.len() * CANDIDATE_BYTES
    }

    /// Each with its interval.
    #[cfg(test)]
    pub(super) fn each(&self) -> impl Iterator<Item = (u32, &Candidate)> {
        let placed = self.placed.iter();
        placed.map(|placed| (placed.interval, &*placed.candidate))
    }

    /// The spans, for a job to say what they are shown with.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Arc<Candidate>> {
        self.placed.iter().map(|placed| &placed.candidate)
    }

    /// At most `count` spans, never more than [`MAX_EXEMPLARS`]: those with the largest values first.
    ///
    /// Time is cut into at most half as many equal parts, of whole intervals, and each part has the span
    /// with its largest value and one or more samples of the others. Parts begin at multiples of their
    /// length: in a window that is a little later nearly all are the same, and so are their spans. Where
    /// there are fewer intervals than parts, each is cut further, by place.
    #[must_use]
    pub fn choose(mut self, count: usize) -> Vec<Chosen> {
        let count = count.min(MAX_EXEMPLARS);
        if count == 0 {
            return Vec::new();
        }
        self.reduce();
        let parts = Parts::new(&self, count);
        let with_spans = self
            .placed
            .chunk_by(|a, b| parts.of(&self, a) == parts.of(&self, b));
        // A window that begins inside a part has one part more; there the last samples have no room.
        let of_part = (count / with_spans.clone().count().max(1)).max(count.min(OF_PART));
        let (mut largest, mut samples) = (Vec::new(), Vec::new());
        for placed in with_spans {
            let mut of_role: [Vec<&Arc<Candidate>>; 1 + SAMPLES] = Default::default();
            for placed in placed {
                of_role[placed.candidate.role.number()].push(&placed.candidate);
            }
            let mut chosen: Vec<&Arc<Candidate>> = Vec::with_capacity(of_part);
            for mut candidates in of_role {
                candidates.sort_by(|a, b| a.first(b));
                for candidate in candidates {
                    let is_new = chosen.iter().all(|held| held.place != candidate.place);
                    let is_second = candidate.role == Role::Largest && !chosen.is_empty();
                    if chosen.len() < of_part && is_new && !is_second {
                        chosen.push(candidate);
                    }
                }
            }
            let chosen = chosen.into_iter().map(Arc::clone);
            let mut chosen = chosen.map(Chosen::new);
            largest.extend(chosen.next());
            samples.extend(chosen);
        }
        // A trace is shown once, by the largest of its spans.
        largest.sort_by(|a: &Chosen, b| a.candidate.first(&b.candidate));
        largest.extend(samples);
        largest.truncate(count);
        largest
    }

    /// Into how many pieces an interval is cut.
    fn pieces(&self) -> usize {
        (MAX_PARTS / index(self.intervals.max(1))).max(1)
    }

    /// The interval of a span, and which of its pieces. Pieces are of whole stretches of rows.
    fn cell(&self, placed: &Placed) -> (u32, usize) {
        /// Rows of a stretch, as a power of two.
        const STRETCH: u32 = 16;
        let pieces = self.pieces();
        let place = placed.candidate.place;
        let block = u128::from(place.block.0);
        let piece = (block + u128::from(place.row >> STRETCH)) % (pieces as u128);
        (placed.interval, usize::try_from(piece).unwrap_or_default())
    }

    /// Leaves out what cannot be chosen, if much was added since that was last done.
    fn make_room(&mut self) -> Result<(), EngineError> {
        const AT_LEAST: usize = 1024;
        if self.placed.len() > self.reduced.max(AT_LEAST) * 2 {
            self.reduce();
        }
        self.limit.check(self.least_bytes())
    }

    /// Leaves one candidate of each role in each cell, in order of cells.
    fn reduce(&mut self) {
        let mut placed = std::mem::take(&mut self.placed);
        placed.sort_by_cached_key(|placed| self.cell(placed));
        let cells = placed.chunk_by_mut(|a, b| self.cell(a) == self.cell(b));
        let mut left = Vec::new();
        for cell in cells {
            cell.sort_by(|a, b| a.candidate.first(&b.candidate));
            let role = |placed: &Placed| placed.candidate.role.number();
            let firsts = cell.chunk_by(|a, b| role(a) == role(b));
            left.extend(firsts.filter_map(|of_role| of_role.first().cloned()));
        }
        self.reduced = left.len();
        self.placed = left;
    }
}

impl Parts {
    /// The parts for so many exemplars.
    fn new(candidates: &Candidates, count: usize) -> Self {
        let most = (count / OF_PART).max(1);
        let (intervals, pieces) = (index(candidates.intervals.max(1)), candidates.pieces());
        let first = candidates.first;
        if intervals * pieces <= most {
            return Self {
                intervals: None,
                first,
                pieces: i64::try_from(pieces).unwrap_or(1),
            };
        }
        let length = i64::try_from(intervals.div_ceil(most)).unwrap_or(i64::MAX);
        Self {
            intervals: Some(length),
            first,
            pieces: 1,
        }
    }

    /// The part of a span.
    fn of(&self, candidates: &Candidates, placed: &Placed) -> i64 {
        let (interval, piece) = candidates.cell(placed);
        let interval = self.first.saturating_add(i64::from(interval));
        match self.intervals {
            Some(length) => interval.div_euclid(length),
            None => interval * self.pieces + i64::try_from(piece).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::ids::BlockId;
    use ulid::Ulid;

    use super::*;
    use crate::exemplars::candidate::SpanPlace;
    use crate::spanset::number::Number;

    const LIMIT: MemoryLimit = MemoryLimit {
        bytes: 1 << 24,
        key: "k",
    };

    /// A row group with a largest span and two samples in each interval of a grid.
    fn full(start: i64, intervals: u32) -> Candidates {
        let mut candidates = Candidates::new((start, 10, intervals), LIMIT);
        for (at, interval) in (start / 10..).zip(0..intervals) {
            let mut add = |row: i64, value, role| {
                let place = SpanPlace {
                    block: BlockId(Ulid(1)),
                    row: u64::try_from(at * 10 + row).unwrap(),
                };
                let candidate = Candidate::new(place, Number::Int(value), role);
                candidates.add(interval, Arc::new(candidate));
            };
            add(0, at * 7 % 5, Role::Largest);
            for number in 0..2 {
                let order = u64::try_from(at * 3 % 7).unwrap();
                add(1 + i64::from(number), 0, Role::Sample { number, order });
            }
        }
        candidates
    }

    fn rows(candidates: Candidates, count: usize) -> Vec<u64> {
        let chosen = candidates.choose(count);
        chosen
            .iter()
            .map(|chosen| chosen.candidate.place.row)
            .collect()
    }

    #[test]
    fn there_are_as_many_as_asked_for_spread_over_time() {
        for (intervals, counts) in [
            (1, [(100, 3), (3, 3), (2, 2), (1, 1), (0, 0)]),
            (24, [(100, 72), (30, 24), (7, 6), (1, 1), (0, 0)]),
            (64, [(100, 96), (1000, 96), (32, 32), (1, 1), (0, 0)]),
            (1000, [(100, 100), (99, 96), (10, 10), (2, 2), (1, 1)]),
        ] {
            for (count, expected) in counts {
                let mut rows = rows(full(0, intervals), count);
                assert_eq!(rows.len(), expected, "{count} of {intervals}");
                rows.sort_unstable();
                rows.dedup();
                assert_eq!(rows.len(), expected, "{count} of {intervals}");
                let mut of_intervals: Vec<u64> = rows.iter().map(|row| row / 10).collect();
                of_intervals.dedup();
                assert!(of_intervals.len() * 3 >= expected, "{rows:?}");
            }
        }
    }

    #[test]
    fn a_window_that_begins_inside_a_part_has_samples_too() {
        for count in [4, 10, 33, 50, 99, 100] {
            let chosen = full(70, 1000).choose(count);
            let is_sample = |chosen: &&Chosen| chosen.candidate.role != Role::Largest;
            let samples = chosen.iter().filter(is_sample).count();
            assert!(chosen.len() + 3 >= count, "{count}: {}", chosen.len());
            assert!(samples + 2 >= count / 2, "{count}: {samples}");
        }
    }

    #[test]
    fn the_largest_of_all_comes_first() {
        for count in [1, 2, 100] {
            let mut candidates = full(0, 64);
            let place = SpanPlace {
                block: BlockId(Ulid(2)),
                row: 5,
            };
            let longest = Candidate::new(place, Number::Int(99), Role::Largest);
            candidates.add(40, Arc::new(longest));
            assert_eq!(rows(candidates, count)[0], 5);
        }
    }

    #[test]
    fn a_later_window_has_the_same_spans_but_at_its_ends() {
        for intervals in [30, 64, 240] {
            let before = rows(full(0, intervals), 100);
            let after = rows(full(10, intervals), 100);
            let new = after.iter().filter(|row| !before.contains(row)).count();
            assert!(new <= 6, "{new} of {intervals}");
        }
    }

    #[test]
    fn merging_in_any_order_chooses_the_same() {
        let parts: Vec<Candidates> = (0..40).map(|at| full(at * 40, 16)).collect();
        let place = |at: usize| Placement {
            from: 0,
            count: 16,
            at: u32::try_from(at).unwrap() * 4,
        };
        let empty = || Candidates::new((0, 10, 200), LIMIT);
        let (mut there, mut back) = (empty(), empty());
        for (at, part) in parts.iter().enumerate() {
            there.merge_part(part, place(at)).unwrap();
        }
        for (at, part) in parts.iter().enumerate().rev() {
            back.merge_part(part, place(at)).unwrap();
        }
        assert_eq!(rows(there, 100), rows(back, 100));
        let mut small = Candidates::new((0, 10, 200), MemoryLimit { bytes: 1, key: "k" });
        assert!(small.merge_part(&parts[0], place(0)).is_err());
    }
}
