//! The groups that `topk` or `bottomk` leaves, found before series are made.
//!
//! Of a hundred thousand groups a handful is in the answer. Which ones shows in the states, interval by
//! interval; the labels and values of all others are never written down.

use std::cmp::Ordering;

use traceql::ast::SecondStage;

use crate::aggregate::cell::Cell;
use crate::aggregate::states::Matrix;
use crate::index::index;
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
        order: impl Fn(u32, u32) -> Ordering,
        value: impl Fn(Option<&C>) -> f64,
    ) -> Vec<bool> {
        let mut survives = vec![false; cells.groups()];
        let by_labels = |lhs: &u32, rhs: &u32| {
            let ascending = order(*lhs, *rhs).then(lhs.cmp(rhs));
            match self.extreme {
                Extreme::Largest => ascending,
                Extreme::Smallest => ascending.reverse(),
            }
        };
        let absent = value(None);
        // Those without a cell are all alike, so of them the first are enough.
        let mut first = First::new(cells.groups());
        let mut candidates = Vec::new();
        for cells in cells.by_interval() {
            let counted = cells.into_iter().flat_map(|cells| cells.iter());
            let counted = counted.map(|(group, cell)| (value(Some(cell)), group));
            candidates.extend(counted.filter(|(value, _)| !value.is_nan()));
            self.cut(&mut candidates, by_labels);
            let is_worse = |(value, _): &(f64, u32)| self.better(absent, *value).is_le();
            let has_room = candidates.len() < self.limit || candidates.iter().any(is_worse);
            if !absent.is_nan() && has_room {
                let is_absent =
                    |group: &&u32| cells.is_none_or(|cells| cells.get(**group).is_none());
                let with_cell = cells.map_or(0, |cells| cells.iter().count());
                let first = first.groups(self.limit.saturating_add(with_cell), by_labels);
                let first = first.iter().filter(is_absent).take(self.limit);
                candidates.extend(first.map(|group| (absent, *group)));
                self.cut(&mut candidates, by_labels);
            }
            for (_, group) in candidates.drain(..) {
                survives[index(group)] = true;
            }
        }
        survives
    }

    /// Leaves the best of some values with their groups, `limit` of them.
    fn cut(self, candidates: &mut Vec<(f64, u32)>, by_labels: impl Fn(&u32, &u32) -> Ordering) {
        if candidates.len() <= self.limit {
            return;
        }
        let Some(last) = self.limit.checked_sub(1) else {
            candidates.clear();
            return;
        };
        let better = |lhs: &(f64, u32), rhs: &(f64, u32)| self.better(lhs.0, rhs.0);
        let last = candidates.select_nth_unstable_by(last, better).1.0;
        // Labels are looked at only where values are equal: they are far away and long.
        let mut equal = Vec::new();
        candidates.retain(|(value, group)| {
            let order = self.better(*value, last);
            if order.is_eq() {
                equal.push(*group);
            }
            order.is_lt()
        });
        let room = self.limit.saturating_sub(candidates.len());
        if room < equal.len() {
            equal.select_nth_unstable_by(room, by_labels);
            equal.truncate(room);
        }
        candidates.extend(equal.into_iter().map(|group| (last, group)));
    }

    /// The better of two values is less. Neither is NaN, and zeros of either sign are equal.
    fn better(self, lhs: f64, rhs: f64) -> Ordering {
        let ascending = lhs.partial_cmp(&rhs).unwrap_or(Ordering::Equal);
        match self.extreme {
            Extreme::Largest => ascending.reverse(),
            Extreme::Smallest => ascending,
        }
    }
}

/// The first groups in an order, found as far as they are asked for.
struct First {
    /// Those in order, and behind them all others.
    groups: Vec<u32>,
    in_order: usize,
}

impl First {
    fn new(groups: usize) -> Self {
        Self {
            groups: (0..).take(groups).collect(),
            in_order: 0,
        }
    }

    /// So many of them at least, if there are so many.
    fn groups(&mut self, count: usize, order: impl Fn(&u32, &u32) -> Ordering) -> &[u32] {
        let count = count.min(self.groups.len());
        if let Some(missing) = count.checked_sub(self.in_order).filter(|more| *more > 0) {
            // More than are asked for, so that steps are few if more and more are.
            let rest = &mut self.groups[self.in_order..];
            let more = missing.max(self.in_order).min(rest.len());
            if more < rest.len() {
                rest.select_nth_unstable_by(more, &order);
            }
            rest[..more].sort_unstable_by(order);
            self.in_order += more;
        }
        &self.groups[..self.in_order]
    }
}
