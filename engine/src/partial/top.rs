//! The groups that `topk` or `bottomk` leaves, found before series are made.
//!
//! Of a hundred thousand groups a handful is in the answer. Which ones shows in the states, interval by
//! interval; the labels and values of all others are never written down.

use std::cell::OnceCell;
use std::cmp::Ordering;

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

    /// Of each group, whether the stage leaves one of its values. `order` is the order of the labels
    /// of two groups, which decides between equal values; NaN is no value.
    pub(super) fn survivors<C: Cell>(
        self,
        cells: &Matrix<'_, C>,
        order: impl Fn(usize, usize) -> Ordering,
        value: impl Fn(Option<&C>) -> f64,
    ) -> Vec<bool> {
        let groups = cells.groups();
        let mut survives = vec![false; groups];
        let prefer = |lhs: &Candidate, rhs: &Candidate| {
            // Neither is NaN, and zeros of either sign are equal.
            let by_value = lhs.value.partial_cmp(&rhs.value);
            let by_value = by_value.unwrap_or(Ordering::Equal);
            let ascending = || order(lhs.group, rhs.group).then(lhs.group.cmp(&rhs.group));
            match self.extreme {
                Extreme::Largest => by_value.reverse().then_with(ascending),
                Extreme::Smallest => by_value.then_with(|| ascending().reverse()),
            }
        };
        let absent = value(None);
        // Those without a cell are all alike, so of them the first are enough.
        let in_order = OnceCell::new();
        let in_order = || {
            in_order.get_or_init(|| {
                let mut groups: Vec<_> = (0..groups)
                    .map(|group| Candidate {
                        value: absent,
                        group,
                    })
                    .collect();
                groups.sort_unstable_by(&prefer);
                groups
            })
        };
        for cells in cells.by_interval() {
            let mut best = Best::new(self.limit, &prefer);
            for (group, cell) in cells.into_iter().flat_map(|cells| cells.iter()) {
                let (group, value) = (index(group), value(Some(cell)));
                if !value.is_nan() {
                    best.offer(Candidate { value, group });
                }
            }
            if !absent.is_nan() && best.may_take(absent, self.extreme) {
                let is_absent = |candidate: &&Candidate| {
                    let group = u32::try_from(candidate.group).unwrap_or(u32::MAX);
                    cells.is_none_or(|cells| cells.get(group).is_none())
                };
                for candidate in in_order().iter().filter(is_absent).take(self.limit) {
                    best.offer(*candidate);
                }
            }
            for candidate in best.finish() {
                survives[candidate.group] = true;
            }
        }
        survives
    }
}

/// A value of a group.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    value: f64,
    group: usize,
}

/// The best of all that are offered, so many.
struct Best<F> {
    limit: usize,
    /// Sorts the better before the worse.
    prefer: F,
    held: Vec<Candidate>,
    /// Of the last time that there were too many: nothing that is no better than this is kept.
    worst: Option<Candidate>,
}

impl<F: Fn(&Candidate, &Candidate) -> Ordering> Best<F> {
    fn new(limit: usize, prefer: F) -> Self {
        Self {
            limit,
            prefer,
            held: Vec::new(),
            worst: None,
        }
    }

    fn offer(&mut self, candidate: Candidate) {
        let is_better = |worst: &Candidate| (self.prefer)(&candidate, worst) == Ordering::Less;
        if self.worst.as_ref().is_none_or(is_better) {
            self.held.push(candidate);
            // Cut only now and then, for what it costs is shared by those that came since.
            if self.held.len() >= self.limit.saturating_mul(2).max(64) {
                self.cut();
            }
        }
    }

    /// Whether a group with this value may be among the best.
    fn may_take(&mut self, value: f64, extreme: Extreme) -> bool {
        self.cut();
        self.worst.is_none_or(|worst| match extreme {
            Extreme::Largest => value >= worst.value,
            Extreme::Smallest => value <= worst.value,
        })
    }

    fn cut(&mut self) {
        if self.held.len() >= self.limit && self.limit > 0 {
            let last = self.limit - 1;
            self.held.select_nth_unstable_by(last, &self.prefer);
            self.held.truncate(self.limit);
            self.worst = self.held.last().copied();
        }
    }

    fn finish(mut self) -> Vec<Candidate> {
        self.cut();
        self.held.truncate(self.limit);
        self.held
    }
}

fn index(group: u32) -> usize {
    usize::try_from(group).unwrap_or(usize::MAX)
}
