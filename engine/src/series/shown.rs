//! Values that are shown of single spans.

use super::LabelValue;

/// The value of an attribute as a span is shown with it.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// One value; status, kind and durations by their TraceQL text.
    Scalar(LabelValue),
    /// Values of one type.
    Array(Vec<LabelValue>),
}
