//! How functions are written.

use crate::ast::{AggregateFunction, MetricsFunction};

impl AggregateFunction {
    /// `count`, `min`, `max`, `avg` or `sum`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Sum => "sum",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Count, Self::Min, Self::Max, Self::Avg, Self::Sum]
            .into_iter()
            .find(|function| function.as_str() == name)
    }
}

impl MetricsFunction {
    /// The name it is called by, which is also the `__name__` label of an ungrouped series.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::MinOverTime => "min_over_time",
            Self::MaxOverTime => "max_over_time",
            Self::AvgOverTime => "avg_over_time",
            Self::SumOverTime => "sum_over_time",
            Self::HistogramOverTime => "histogram_over_time",
            Self::QuantileOverTime { .. } => "quantile_over_time",
        }
    }
}

/// Functions that may follow a pipeline's `|` as its metrics stage.
pub(crate) const METRICS_FUNCTIONS: [&str; 9] = [
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
];

/// Every other function that may follow a `|`.
pub(crate) const STAGE_FUNCTIONS: [&str; 10] = [
    "count", "avg", "max", "min", "sum", "by", "coalesce", "select", "topk", "bottomk",
];
