//! Which spans are shown: a choice that is the same in whatever order spans are offered.
//!
//! Time is cut into equal parts, half as many as there may be exemplars, and each part shows two: the
//! span with the largest value, because slow ones are what people look for, and one of another trace
//! that a hash of its ids picks, as a sample of the rest. Each is the greatest of a fixed order, so
//! choosing among choices gives what choosing among all would.

use std::cmp::Ordering;

use hashbrown::HashSet;
use storage::ids::{SpanId, TraceId};

use crate::grid::Grid;

/// Exemplars of one part of time.
const OF_PART: usize = 2;

/// A span that may be shown.
#[derive(Debug, Clone)]
pub(super) struct Candidate<T> {
    pub(super) key: CandidateKey,
    pub(super) content: T,
}

/// What the choice looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct CandidateKey {
    /// The larger, the more worth showing; no NaN.
    pub(super) rank: f64,
    pub(super) start_ns: i64,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
}

/// The spans chosen so far.
#[derive(Debug, Clone)]
pub(super) struct Choice<T> {
    grid: Grid,
    /// Most exemplars in the end.
    count: usize,
    parts: Vec<Part<T>>,
}

#[derive(Debug, Clone)]
struct Part<T> {
    largest: Option<Candidate<T>>,
    /// The spans that the hash puts first, at most [`OF_PART`], each of another trace: the trace of the
    /// first may be that of the largest.
    sampled: Vec<Candidate<T>>,
}

impl CandidateKey {
    fn by_rank(&self, other: &Self) -> Ordering {
        let by_rank = self.rank.total_cmp(&other.rank);
        by_rank.then_with(|| other.by_hash().cmp(&self.by_hash()))
    }

    /// An order that has nothing to do with what the span is like, and keeps traces together.
    fn by_hash(&self) -> impl Ord + use<> {
        let Self {
            trace_id, span_id, ..
        } = *self;
        let of_trace = u128::from_be_bytes(trace_id.0);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let of_trace = mix((of_trace >> 64) as u64 ^ mix(of_trace as u64));
        let of_span = mix(u64::from_be_bytes(span_id.0));
        // A span id may be used twice.
        (
            of_trace,
            trace_id,
            of_span,
            span_id,
            self.start_ns,
            self.rank.to_bits(),
        )
    }
}

/// The finalizer of `SplitMix64`: ids that are counted up come out in no order.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl<T: Clone> Choice<T> {
    /// Nothing chosen yet, of at most `count` spans that start in the grid.
    pub(super) fn new(grid: Grid, count: usize) -> Self {
        let part = Part {
            largest: None,
            sampled: Vec::new(),
        };
        Self {
            grid,
            count,
            parts: vec![part; (count / OF_PART).max(1)],
        }
    }

    /// Nothing chosen yet of the same.
    pub(super) fn new_empty<U: Clone>(&self) -> Choice<U> {
        Choice::new(self.grid, self.count)
    }

    /// Whether a span would change the choice.
    pub(super) fn wants(&self, key: &CandidateKey) -> bool {
        self.part_of(key.start_ns)
            .is_some_and(|part| self.parts[part].wants(key))
    }

    /// Considers a span.
    pub(super) fn offer(&mut self, candidate: Candidate<T>) {
        if let Some(part) = self.part_of(candidate.key.start_ns) {
            self.parts[part].offer(candidate);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for candidate in other.into_candidates() {
            self.offer(candidate);
        }
    }

    /// Every span that may be shown in the end; one may be there twice.
    pub(super) fn into_candidates(self) -> impl Iterator<Item = Candidate<T>> {
        let parts = self.parts.into_iter();
        parts.flat_map(|part| part.sampled.into_iter().chain(part.largest))
    }

    pub(super) fn contents(&self) -> impl Iterator<Item = &T> {
        let parts = self.parts.iter();
        let candidates = parts.flat_map(|part| part.sampled.iter().chain(&part.largest));
        candidates.map(|candidate| &candidate.content)
    }

    /// The spans to show in order of time, at most one of each trace.
    pub(super) fn finish(self) -> Vec<Candidate<T>> {
        let mut traces = HashSet::new();
        let mut chosen = Vec::new();
        let mut rest = Vec::new();
        for part in self.parts {
            let mut room = OF_PART.min(self.count);
            if let Some(largest) = part.largest
                && room > 0
                && traces.insert(largest.key.trace_id)
            {
                chosen.push(largest);
                room -= 1;
            }
            rest.push((room, part.sampled));
        }
        // After the largest of all parts, so that none of them gives way to a sample.
        for (mut room, sampled) in rest {
            for candidate in sampled {
                if room > 0 && traces.insert(candidate.key.trace_id) {
                    chosen.push(candidate);
                    room -= 1;
                }
            }
        }
        chosen.sort_by_key(|candidate| {
            let key = &candidate.key;
            (key.start_ns, key.trace_id, key.span_id)
        });
        chosen
    }

    /// The part of time that a start is in; like intervals, parts do not include their first moment.
    fn part_of(&self, start_ns: i64) -> Option<usize> {
        self.grid.interval_of(start_ns)?;
        let parts = i128::try_from(self.parts.len()).ok()?;
        let length = i128::from(self.grid.step_ns) * i128::from(self.grid.intervals);
        let passed = i128::from(start_ns) - i128::from(self.grid.start_ns);
        usize::try_from((passed * parts - 1) / length).ok()
    }
}

impl<T: Clone> Part<T> {
    fn is_larger(&self, key: &CandidateKey) -> bool {
        let largest = self.largest.as_ref();
        largest.is_none_or(|held| key.by_rank(&held.key).is_gt())
    }

    /// Where a span belongs among the sampled ones, and whether it takes the place of another.
    fn place(&self, key: &CandidateKey) -> Option<(usize, bool)> {
        let sampled = &self.sampled;
        let of_trace = |held: &Candidate<T>| held.key.trace_id == key.trace_id;
        if let Some(at) = sampled.iter().position(of_trace) {
            return (key.by_hash() < sampled[at].key.by_hash()).then_some((at, true));
        }
        let at = sampled.partition_point(|held| held.key.by_hash() < key.by_hash());
        (at < OF_PART).then_some((at, false))
    }

    fn wants(&self, key: &CandidateKey) -> bool {
        self.is_larger(key) || self.place(key).is_some()
    }

    fn offer(&mut self, candidate: Candidate<T>) {
        if self.is_larger(&candidate.key) {
            self.largest = Some(candidate.clone());
        }
        match self.place(&candidate.key) {
            Some((at, true)) => self.sampled[at] = candidate,
            Some((at, false)) => {
                self.sampled.insert(at, candidate);
                self.sampled.truncate(OF_PART);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRID: Grid = Grid {
        start_ns: 0,
        step_ns: 10,
        intervals: 10,
    };

    fn key((rank, start_ns, trace, span): (u8, i64, u8, u8)) -> CandidateKey {
        CandidateKey {
            rank: f64::from(rank),
            start_ns,
            trace_id: TraceId([trace; 16]),
            span_id: SpanId([span; 8]),
        }
    }

    fn select(count: usize, keys: &[CandidateKey]) -> Choice<()> {
        let mut choice = Choice::new(GRID, count);
        for &key in keys {
            let before = format!("{choice:?}");
            let wanted = choice.wants(&key);
            choice.offer(Candidate { key, content: () });
            assert_eq!(wanted, before != format!("{choice:?}"), "{key:?}");
        }
        choice
    }

    fn shown(choice: Choice<()>) -> Vec<(i64, u8, u8, f64)> {
        let shown = |candidate: Candidate<()>| {
            let CandidateKey {
                rank,
                start_ns,
                trace_id,
                span_id,
            } = candidate.key;
            (start_ns, trace_id.0[0], span_id.0[0], rank)
        };
        choice.finish().into_iter().map(shown).collect()
    }

    #[test]
    fn each_part_shows_its_largest_and_one_of_another_trace() {
        let keys = [
            (5, 1, 1, 1),
            (9, 2, 1, 2),
            (1, 3, 2, 3),
            (4, 100, 3, 4),
            (7, 0, 4, 4),
        ];
        let keys = keys.map(key);
        // One part.
        assert_eq!(shown(select(2, &keys)).len(), 2);
        // The border belongs to the part before it, the start of the grid to none.
        let found = shown(select(4, &keys));
        assert_eq!(found, [(2, 1, 2, 9.0), (3, 2, 3, 1.0), (100, 3, 4, 4.0)]);
        assert_eq!(shown(select(1, &keys)), [(2, 1, 2, 9.0)]);
        assert_eq!(shown(select(0, &keys)), []);
    }

    proptest! {
        #[test]
        fn merging_in_any_order_gives_the_same(
            spans in prop::collection::vec((0..4_u8, -2..110_i64, 0..6_u8, 0..3_u8, 0..4_usize), 0..60),
            count in 0..12_usize,
            turned in any::<bool>(),
        ) {
            let keys: Vec<CandidateKey> = spans.iter().map(|s| key((s.0, s.1, s.2, s.3))).collect();
            let whole = select(count, &keys);
            let mut merged = Choice::new(GRID, count);
            let mut parts: Vec<usize> = (0..4).collect();
            if turned {
                parts.reverse();
            }
            for part in parts {
                let of_part = spans.iter().zip(&keys).filter(|(span, _)| span.4 == part);
                let mut keys: Vec<CandidateKey> = of_part.map(|(_, key)| *key).collect();
                if turned {
                    keys.reverse();
                }
                merged.merge(select(count, &keys));
            }
            let found = shown(merged);
            prop_assert_eq!(&found, &shown(whole));
            prop_assert!(found.len() <= count);
            let traces: HashSet<u8> = found.iter().map(|span| span.1).collect();
            prop_assert_eq!(traces.len(), found.len());
            let inside: Vec<&CandidateKey> = keys.iter().filter(|key| (1..=100).contains(&key.start_ns)).collect();
            prop_assert_eq!(found.is_empty(), count == 0 || inside.is_empty());
        }
    }
}
