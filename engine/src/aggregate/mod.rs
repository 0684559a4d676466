//! The time-series aggregates: one state per group and interval, mergeable in any order.
//!
//! Reading order: [`cell`] (what one group holds for one interval), [`interval_cells`] (all groups in
//! one interval), [`states`] (all cells of all groups), [`by_group`] (the same, group by group),
//! [`rows`] (cells as Arrow rows, which is how states travel between processes and through
//! DataFusion's own aggregation), [`sketch`] and [`histogram`] (the two cells that are more than a few
//! numbers), [`buckets`] (the counts that both are made of).

pub(crate) mod buckets;
pub(crate) mod by_group;
pub(crate) mod cell;
pub(crate) mod double_double;
mod groups;
pub(crate) mod histogram;
pub(crate) mod interval;
pub(crate) mod interval_cells;
pub(crate) mod rows;
pub(crate) mod sketch;
pub(crate) mod states;

pub(crate) use groups::Groups;
pub(crate) use states::{RangeState, new_state};
use traceql::ast::MetricsFunction;

/// What is kept per group and interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StateKind {
    /// Number of spans: `rate`, `count_over_time`.
    Count,
    /// Sum and number of values: `sum_over_time`, `avg_over_time`.
    Sum,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Quantile sketch with a bounded relative error.
    Sketch,
    /// Power-of-two buckets: `histogram_over_time`, and quantiles compatible with Tempo's.
    Log2,
}

impl StateKind {
    /// What is kept to compute a function. With `log2_quantiles` quantiles are estimated from
    /// power-of-two buckets.
    pub(crate) const fn of(function: &MetricsFunction, log2_quantiles: bool) -> Self {
        match function {
            MetricsFunction::Rate | MetricsFunction::CountOverTime => Self::Count,
            MetricsFunction::MinOverTime => Self::Min,
            MetricsFunction::MaxOverTime => Self::Max,
            MetricsFunction::AvgOverTime | MetricsFunction::SumOverTime => Self::Sum,
            MetricsFunction::HistogramOverTime => Self::Log2,
            MetricsFunction::QuantileOverTime { .. } if log2_quantiles => Self::Log2,
            MetricsFunction::QuantileOverTime { .. } => Self::Sketch,
        }
    }

    /// Name of the aggregate function that builds such states.
    pub(crate) const fn function_name(self) -> &'static str {
        match self {
            Self::Count => "range_count",
            Self::Sum => "range_sum",
            Self::Min => "range_min",
            Self::Max => "range_max",
            Self::Sketch => "range_sketch",
            Self::Log2 => "range_log2_histogram",
        }
    }

    /// Whether the aggregate takes a value besides the time.
    pub(crate) const fn has_value(self) -> bool {
        !matches!(self, Self::Count)
    }
}
