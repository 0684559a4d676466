//! Series of states.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use traceql::ast::{MetricsAggregate, MetricsFunction};

use super::group_table::GroupTable;
use super::labels::labels_of;
use super::top::Top;
use crate::aggregate::by_group::ShownGroups;
use crate::aggregate::cell::{Cell, CountCell, ExtremeCell, SumCell};
use crate::aggregate::histogram::{Log2Histogram, bound};
use crate::aggregate::sketch::Sketch;
use crate::aggregate::states::{Cells, Matrix};
use crate::error::EngineError;
use crate::index::index;
use crate::key::KeyValue;
use crate::limit::MemoryLimit;
use crate::series::{Label, LabelValue, Series, Values, tie_order};
use crate::threads;

/// Makes series of states.
pub(super) struct Finisher<'a> {
    pub(super) aggregate: &'a MetricsAggregate,
    pub(super) intervals: usize,
    pub(super) step_seconds: f64,
    pub(super) scale: f64,
    pub(super) limit: MemoryLimit,
    /// Of the labels of groups.
    pub(super) names: Vec<Arc<str>>,
    pub(super) series: Vec<Series>,
}

impl Finisher<'_> {
    /// Of each group, whether a stage leaves something of its series; `None` where a group has several.
    pub(super) fn survivors(
        &self,
        top: Top,
        groups: &GroupTable,
        cells: Cells<'_>,
    ) -> Option<Vec<bool>> {
        let order = |lhs: u32, rhs: u32| self.order_of_ties(groups, lhs, rhs);
        let survivors = match cells {
            Cells::Count(cells) => top.survivors(&cells, order, |cell| self.count(cell)),
            Cells::Min(cells) => top.survivors(&cells, order, |cell| self.extreme(cell)),
            Cells::Max(cells) => top.survivors(&cells, order, |cell| self.extreme(cell)),
            Cells::Sum(cells) => top.survivors(&cells, order, |cell| self.sum(cell)),
            Cells::Sketch(_) | Cells::Log2(_) => return None,
        };
        Some(survivors)
    }

    /// The order of two groups' labels, as [`tie_order`] has it.
    fn order_of_ties(&self, groups: &GroupTable, lhs: u32, rhs: u32) -> Ordering {
        for values in groups.key(lhs).zip(groups.key(rhs)) {
            match values {
                // Text is shown as it is.
                (KeyValue::String(lhs), KeyValue::String(rhs)) if lhs == rhs => {}
                (KeyValue::String(lhs), KeyValue::String(rhs)) => return lhs.cmp(rhs),
                _ => break,
            }
        }
        tie_order(
            &self.labels(groups, lhs, None),
            &self.labels(groups, rhs, None),
        )
    }

    /// The labels of a group's series, with its own behind them.
    fn labels(&self, groups: &GroupTable, group: u32, own: Option<&Label>) -> Vec<Label> {
        labels_of(self.aggregate, &self.names, groups.key(group), own)
    }

    /// Makes the series of these groups.
    pub(super) fn finish(
        &mut self,
        groups: &GroupTable,
        shown: ShownGroups<'_>,
        cells: Cells<'_>,
    ) -> Result<(), EngineError> {
        // To sort a hundred thousand series takes longer than to make them, unless they come in order.
        let ordered = groups.in_near_order(|group| shown.contains(*group));
        let shown = SeriesGroups {
            groups,
            shown,
            ordered,
        };
        let is_histogram = self.aggregate.function == MetricsFunction::HistogramOverTime;
        match cells {
            Cells::Count(cells) => self.one_each(&shown, &cells, None, Self::count),
            Cells::Min(cells) => self.one_each(&shown, &cells, None, Self::extreme),
            Cells::Max(cells) => self.one_each(&shown, &cells, None, Self::extreme),
            Cells::Sum(cells) => self.one_each(&shown, &cells, None, Self::sum),
            Cells::Sketch(cells) => self.quantiles(&shown, &cells, Sketch::quantile),
            Cells::Log2(cells) if is_histogram => self.histograms(&shown, &cells),
            Cells::Log2(cells) => self.quantiles(&shown, &cells, Log2Histogram::quantile),
        }
    }

    /// Makes one series of each group. If it has a label of its own, there is none where nothing was
    /// counted.
    fn one_each<C: Cell>(
        &mut self,
        shown: &SeriesGroups<'_>,
        cells: &Matrix<'_, C>,
        own: Option<&Label>,
        value: impl Fn(&Self, Option<&C>) -> f64 + Send + Sync,
    ) -> Result<(), EngineError> {
        let counted = cells.by_group_on_threads(shown.shown, |cell| value(self, Some(cell)));
        let counted = |group| counted.group(index(group));
        let elsewhere = value(self, None);
        let mut groups = Cow::Borrowed(shown.ordered.as_slice());
        if own.is_some() {
            groups.to_mut().retain(|group| !counted(*group).is_empty());
        }
        self.push(&groups, |this, &group| {
            let counted = counted(group).iter().copied();
            let values = Values::new(this.intervals, elsewhere, counted);
            let labels = this.labels(shown.groups, group, own);
            Series { labels, values }
        })
    }

    /// Nothing counted is a count of zero.
    fn count(&self, cell: Option<&CountCell>) -> f64 {
        let count = as_float(cell.map_or(0, |cell| cell.0));
        match self.aggregate.function {
            MetricsFunction::Rate => count * (1.0 / self.step_seconds),
            _ => count,
        }
    }

    fn extreme<const SIGN: i8>(&self, cell: Option<&ExtremeCell<SIGN>>) -> f64 {
        cell.map_or(f64::NAN, |cell| cell.value.value() / self.scale)
    }

    fn sum(&self, cell: Option<&SumCell>) -> f64 {
        let Some(cell) = cell else {
            return f64::NAN;
        };
        let sum = cell.sum().value();
        match self.aggregate.function {
            MetricsFunction::AvgOverTime => sum / as_float(cell.count) / self.scale,
            _ => sum / self.scale,
        }
    }

    fn quantiles<C: Cell>(
        &mut self,
        shown: &SeriesGroups<'_>,
        cells: &Matrix<'_, C>,
        quantile: impl Fn(&C, f64) -> Option<f64> + Send + Sync,
    ) -> Result<(), EngineError> {
        let MetricsFunction::QuantileOverTime { quantiles } = &self.aggregate.function else {
            return Ok(());
        };
        for (index, &q) in quantiles.iter().enumerate() {
            // Written twice, it is still one series.
            if quantiles[..index]
                .iter()
                .any(|before| before.to_bits() == q.to_bits())
            {
                continue;
            }
            let own = Label {
                name: "p".into(),
                value: LabelValue::Float(q),
            };
            let value = |cell: Option<&C>| quantile(cell?, q);
            self.one_each(shown, cells, Some(&own), |this, cell| {
                value(cell).map_or(0.0, |value| value / this.scale)
            })?;
        }
        Ok(())
    }

    fn histograms(
        &mut self,
        shown: &SeriesGroups<'_>,
        cells: &Matrix<'_, Log2Histogram>,
    ) -> Result<(), EngineError> {
        let counted = cells.by_group_on_threads(shown.shown, |cell| cell);
        let counted = |group| counted.group(index(group));
        let buckets = shown.ordered.iter().flat_map(|&group| {
            let buckets = counted(group).iter().flat_map(|(_, cell)| cell.0.iter());
            let buckets: BTreeSet<i32> = buckets.map(|(bucket, _)| bucket).collect();
            buckets.into_iter().map(move |bucket| (group, bucket))
        });
        let buckets: Vec<(u32, i32)> = buckets.collect();
        self.push(&buckets, |this, &(group, bucket)| {
            let own = Label {
                name: "__bucket".into(),
                value: LabelValue::Float(bound(bucket) / this.scale),
            };
            let counts = counted(group).iter();
            let counts = counts.map(|(interval, cell)| (*interval, as_float(cell.0.count(bucket))));
            let values = Values::new(this.intervals, 0.0, counts);
            let labels = this.labels(shown.groups, group, Some(&own));
            Series { labels, values }
        })
    }

    /// Makes a series of each of these.
    fn push<T: Sync>(
        &mut self,
        of: &[T],
        series: impl Fn(&Self, &T) -> Series + Send + Sync,
    ) -> Result<(), EngineError> {
        // As much as they take when stages and arithmetic have given each value a place of its own.
        let values = (self.series.len() + of.len()).saturating_mul(self.intervals);
        self.limit.check(values.saturating_mul(size_of::<f64>()))?;
        let made = threads::map(of.len(), of, |of| series(self, of));
        if self.series.is_empty() {
            self.series = made;
        } else {
            self.series.extend(made);
        }
        Ok(())
    }
}

/// The groups that have series.
struct SeriesGroups<'a> {
    groups: &'a GroupTable,
    shown: ShownGroups<'a>,
    /// Their numbers, nearly in the order of series.
    ordered: Vec<u32>,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}
