//! Series as a metrics query gives them.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use traceql::ast::{Kind, Status};

use super::value::Value;

/// One series: labels, and one value per interval.
#[derive(Debug, Clone, PartialEq)]
pub struct RefSeries {
    /// Labels, in the order in which the query names them.
    pub labels: Labels,
    /// Values, one per interval of the grid; `None` where the series has no point.
    pub values: Vec<Option<f64>>,
}

/// Label names with their values.
pub type Labels = Vec<(String, LabelValue)>;

/// The value of a label.
#[derive(Debug, Clone)]
pub enum LabelValue {
    /// Text; also what has no type of its own here: Durations, statuses, kinds, nil.
    String(String),
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float.
    Float(f64),
    /// Boolean.
    Bool(bool),
}

/// The text that stands for an absent value.
pub const NIL: &str = "nil";

impl LabelValue {
    /// How a value appears in a label; `None` for an absent one.
    #[must_use]
    pub fn of_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Nil => return None,
            Value::Int(number) => Self::Int(*number),
            Value::Float(number) => Self::Float(*number),
            Value::String(text) => Self::String(text.clone()),
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Duration(ns) => Self::String(traceql::format_go_duration(*ns)),
            Value::Status(status) => Self::String(status_text(*status).to_owned()),
            Value::Kind(kind) => Self::String(kind_text(*kind).to_owned()),
            // An array has no label form, and does not count as absent either.
            Value::Array(_) => Self::String(NIL.to_owned()),
        })
    }

    /// The value as `<type>:<value>`, by which series are ordered.
    #[must_use]
    pub fn order_text(&self) -> String {
        match self {
            Self::Bool(flag) => format!("bool:{flag}"),
            Self::Float(number) => format!("double:{}", go_float(*number)),
            Self::Int(number) => format!("int:{number}"),
            Self::String(text) => format!("string:{text}"),
        }
    }

    /// Order among values of which all but strings have the same text.
    fn tie_key(&self) -> (&str, u8, u64) {
        match self {
            Self::Int(number) => ("", 0, number.cast_unsigned()),
            Self::Float(number) => ("", 1, number.to_bits()),
            Self::String(text) => (text, 2, 0),
            Self::Bool(flag) => ("", 3, u64::from(*flag)),
        }
    }
}

/// Identity is by type and value; floats are the same if their bits are.
impl PartialEq for LabelValue {
    fn eq(&self, other: &Self) -> bool {
        self.tie_key() == other.tie_key()
    }
}

impl Eq for LabelValue {}

impl Hash for LabelValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tie_key().hash(state);
    }
}

/// The order of series in an answer: fewer labels first, then label by label.
#[must_use]
pub fn answer_order(lhs: &Labels, rhs: &Labels) -> Ordering {
    let keys = |labels: &Labels| -> Vec<(String, String)> {
        labels
            .iter()
            .map(|(name, value)| (name.clone(), value.order_text()))
            .collect()
    };
    lhs.len()
        .cmp(&rhs.len())
        .then_with(|| keys(lhs).cmp(&keys(rhs)))
}

/// The order in which `topk` prefers series of one value: by label values, position by position, then
/// by the names of the labels.
#[must_use]
pub fn tie_order(lhs: &Labels, rhs: &Labels) -> Ordering {
    let keys = |labels: &'_ Labels| -> Vec<(String, u8, u64)> {
        labels
            .iter()
            .map(|(_, value)| value.tie_key())
            .map(|(text, kind, bits)| (text.to_owned(), kind, bits))
            .collect()
    };
    let names =
        |labels: &Labels| -> Vec<String> { labels.iter().map(|(name, _)| name.clone()).collect() };
    let by_value = keys(lhs).cmp(&keys(rhs));
    by_value.then_with(|| names(lhs).cmp(&names(rhs)))
}

pub(super) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Unset => "unset",
        Status::Ok => "ok",
        Status::Error => "error",
    }
}

pub(super) fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "unspecified",
        Kind::Internal => "internal",
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Producer => "producer",
        Kind::Consumer => "consumer",
    }
}

/// A float as Go's `%g` writes it, which the order of answers is defined on.
fn go_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    match scientific
        .split_once('e')
        .map(|(digits, exponent)| (digits, exponent.parse::<i32>()))
    {
        Some((digits, Ok(exponent))) if !(-4..21).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_go_writes_them() {
        assert_eq!(go_float(0.5), "0.5");
        assert_eq!(go_float(1.0), "1");
        assert_eq!(go_float(1e-9), "1e-09");
        assert_eq!(go_float(1.5e21), "1.5e+21");
        assert_eq!(go_float(8_589_934_592.0), "8589934592");
    }

    #[test]
    fn answers_are_ordered_by_label_count_then_key_then_typed_text() {
        let label = |key: &str, value| (key.to_owned(), value);
        let mut labels = [
            vec![
                label("a", LabelValue::String("x".into())),
                label("b", LabelValue::Int(1)),
            ],
            vec![label("a", LabelValue::String("x".into()))],
            vec![label("a", LabelValue::Int(9))],
            vec![label("a", LabelValue::Int(10))],
            vec![label("a", LabelValue::Float(1.0))],
            vec![label("a", LabelValue::Bool(true))],
        ];
        labels.sort_by(answer_order);
        let texts: Vec<String> = labels
            .iter()
            .map(|labels| labels[0].1.order_text())
            .collect();
        assert_eq!(
            texts,
            [
                "bool:true",
                "double:1",
                "int:10",
                "int:9",
                "string:x",
                "string:x"
            ]
        );
        assert_eq!(labels[5].len(), 2);
    }
}
