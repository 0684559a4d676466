//! The groups that `topk` or `bottomk` leaves, found before series are made.
//!
//! Of a hundred thousand groups a handful is in the answer. Which ones shows in the states, interval by
//! interval; the labels and values of all others are never written down.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use traceql::ast::SecondStage;

use crate::aggregate::cell::Cell;
use crate::aggregate::dense::Matrix;
use crate::series::Extreme;

/// `topk` or `bottomk` as the first stage after an aggregate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Top {
    limit: usize,
    extreme: Extreme,
}

impl Top {
    /// The first of these stages, if it is one.
    pub(super) fn first_of(stages: &[SecondStage]) -> Option<Self> {
        let (limit, extreme) = match stages.first()? {
            SecondStage::TopK { limit, .. } => (*limit, Extreme::Largest),
            SecondStage::BottomK { limit, .. } => (*limit, Extreme::Smallest),
            SecondStage::Filter { .. } => return None,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Some(Self { limit, extreme })
    }

    /// Of each group, whether the stage leaves one of its values. `ranks` are the places of the groups
    /// in the order that decides between equal values; NaN is no value.
    pub(super) fn survivors<C: Cell>(
        self,
        cells: &Matrix<'_, C>,
        ranks: &[usize],
        value: impl Fn(Option<&C>) -> f64,
    ) -> Vec<bool> {
        let mut survives = vec![false; ranks.len()];
        let mut kept = BinaryHeap::with_capacity(self.limit.min(ranks.len()) + 1);
        for interval in 0..cells.intervals() {
            let of_interval = cells.interval(interval);
            for (group, &rank) in ranks.iter().enumerate() {
                let cell = of_interval.get(group).filter(|cell| !cell.is_empty());
                let value = value(cell);
                if value.is_nan() {
                    continue;
                }
                let candidate = Reverse(Candidate {
                    value: match self.extreme {
                        Extreme::Largest => value,
                        Extreme::Smallest => -value,
                    },
                    rank: match self.extreme {
                        Extreme::Largest => Reverse(rank),
                        Extreme::Smallest => Reverse(usize::MAX - rank),
                    },
                    group,
                });
                if kept.len() < self.limit {
                    kept.push(candidate);
                } else if let Some(mut least) = kept.peek_mut()
                    && candidate < *least
                {
                    *least = candidate;
                }
            }
            for Reverse(candidate) in kept.drain() {
                survives[candidate.group] = true;
            }
        }
        survives
    }
}

/// A value of a group; the greater, the earlier it is kept.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    value: f64,
    rank: Reverse<usize>,
    group: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Neither is NaN, and zeros of either sign are equal.
        let by_value = self.value.partial_cmp(&other.value);
        let by_value = by_value.unwrap_or(Ordering::Equal);
        by_value.then_with(|| self.rank.cmp(&other.rank))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}
