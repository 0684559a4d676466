//! Series: the answer of a metrics query.

mod arithmetic;
mod second_stage;
mod shown;
mod values;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use compact_str::CompactString;
pub use second_stage::apply as apply_second_stages;
pub(crate) use second_stage::{Extreme, satisfies_filters, tie_order};
pub use shown::AttributeValue;
pub use values::Values;

use crate::grid::Grid;

/// The series of one query over one grid, in their canonical order.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    /// The time grid that every series' values follow.
    pub grid: Grid,
    /// The series, ordered by [`Series::order`].
    pub series: Vec<Series>,
}

/// One label set with a value per interval of the grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Labels, in `by` order, then `p` or `__bucket`.
    pub labels: Vec<Label>,
    /// One value per interval; NaN where the series has no sample.
    pub values: Values,
}

/// One label of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The attribute's canonical text, `__name__`, `p` or `__bucket`.
    pub name: Arc<str>,
    /// Its value.
    pub value: LabelValue,
}

/// A label's value. Series differ by type and value: the int 5 and the text "5" are two.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelValue {
    /// Text; also status, kind and durations by their TraceQL text, and `nil`.
    String(CompactString),
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float.
    Float(f64),
    /// Boolean.
    Bool(bool),
}

impl LabelValue {
    /// The value's type and text as Tempo orders series by: `bool`, `double`, `int`, `string`.
    #[must_use]
    pub fn sort_key(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Bool(value) => ("bool", value.to_string().into()),
            Self::Float(value) => ("double", value.to_string().into()),
            Self::Int(value) => ("int", value.to_string().into()),
            Self::String(value) => ("string", value.as_str().into()),
        }
    }

    /// Memory that a text takes.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::String(value) => value.len(),
            Self::Int(_) | Self::Float(_) | Self::Bool(_) => 0,
        }
    }

    /// The value as the unquoted text of a Prometheus label.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::String(value) => value.to_string(),
        }
    }
}

impl Series {
    /// Canonical order: fewer labels first, then label by label by name, type and text.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        label_order(&self.labels, &other.labels)
    }
}

/// The order of series by their labels.
pub(crate) fn label_order(a: &[Label], b: &[Label]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        for (a, b) in a.iter().zip(b) {
            let by_name = a.name.cmp(&b.name);
            let ordering = by_name.then_with(|| a.value.sort_key().cmp(&b.value.sort_key()));
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    })
}

impl SeriesSet {
    /// Memory that the values take at most: some are held once for many intervals.
    #[must_use]
    pub fn value_bytes(&self) -> u64 {
        let values: usize = self.series.iter().map(|series| series.values.len()).sum();
        u64::try_from(values.saturating_mul(size_of::<f64>())).unwrap_or(u64::MAX)
    }

    /// Puts the series into canonical order.
    pub fn sort(&mut self) {
        self.series.sort_by(Series::order);
    }
}
