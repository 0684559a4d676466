//! Distinct values, as many as there is room for.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::model::AnyValue;

/// A value that an attribute can have in a query.
///
/// Values of one type are in their natural order; `Double` by IEEE 754's total order, so that every
/// float is a value.
#[derive(Debug, Clone)]
pub enum Value {
    /// Text.
    String(String),
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float.
    Double(f64),
    /// Boolean.
    Bool(bool),
}

impl Value {
    /// Bytes that the value takes in an answer, about.
    fn len(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Int(_) | Self::Double(_) => 8,
            Self::Bool(_) => 1,
        }
    }

    /// The place of the type in the order of values.
    const fn rank(&self) -> u8 {
        match self {
            Self::String(_) => 0,
            Self::Int(_) => 1,
            Self::Double(_) => 2,
            Self::Bool(_) => 3,
        }
    }

    /// The values of an attribute: of an array its elements, of what has no scalars none.
    pub(super) fn of(value: AnyValue, each: &mut impl FnMut(Self)) {
        match value {
            AnyValue::String(text) => each(Self::String(text)),
            AnyValue::Int(value) => each(Self::Int(value)),
            AnyValue::Double(value) => each(Self::Double(value)),
            AnyValue::Bool(value) => each(Self::Bool(value)),
            AnyValue::Array(values) => {
                let is_scalar = |value: &AnyValue| {
                    !matches!(value, AnyValue::Array(_) | AnyValue::KeyValueList(_))
                };
                let scalars = values.into_iter().filter(is_scalar);
                scalars.for_each(|value| Self::of(value, each));
            }
            AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::KeyValueList(_) => {}
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::String(_) | Self::Int(_) | Self::Double(_) | Self::Bool(_), _) => {
                self.rank().cmp(&other.rank())
            }
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// When to stop collecting values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueLimits {
    /// Most values.
    pub values: usize,
    /// Most bytes of values.
    pub bytes: usize,
    /// Most values in a row that were known already.
    pub stale: usize,
}

impl ValueLimits {
    /// All values there are.
    pub const NONE: Self = Self {
        values: usize::MAX,
        bytes: usize::MAX,
        stale: usize::MAX,
    };
}

/// Distinct values, as many as the limits let in.
#[derive(Debug, Clone)]
pub struct ValueSet {
    values: BTreeSet<Value>,
    limits: ValueLimits,
    bytes: usize,
    /// Known values since the last new one.
    stale: usize,
    is_full: bool,
}

impl ValueSet {
    /// No values yet.
    #[must_use]
    pub fn new(limits: ValueLimits) -> Self {
        Self {
            values: BTreeSet::new(),
            limits,
            bytes: 0,
            stale: 0,
            is_full: false,
        }
    }

    /// Adds a value, unless a limit was met.
    pub fn insert(&mut self, value: Value) {
        if self.is_full {
            return;
        }
        if self.values.contains(&value) {
            self.stale += 1;
            self.is_full = self.stale >= self.limits.stale;
            return;
        }
        let bytes = self.bytes.saturating_add(value.len());
        if self.values.len() >= self.limits.values || bytes > self.limits.bytes {
            self.is_full = true;
            return;
        }
        self.bytes = bytes;
        self.stale = 0;
        self.values.insert(value);
    }

    /// Adds the values of another set.
    pub fn merge(&mut self, other: Self) {
        other
            .values
            .into_iter()
            .for_each(|value| self.insert(value));
        self.is_full |= other.is_full;
    }

    /// Whether a limit was met: there may be more values.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// The values, ordered by type, then by value.
    #[must_use]
    pub fn into_values(self) -> BTreeSet<Value> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn collect(limits: ValueLimits, values: &[Value]) -> (Vec<Value>, bool) {
        let mut set = ValueSet::new(limits);
        values.iter().for_each(|value| set.insert(value.clone()));
        let full = set.is_full();
        (set.into_values().into_iter().collect(), full)
    }

    #[test]
    fn values_are_distinct_and_ordered_by_type() {
        let given = [
            Value::Bool(true),
            Value::Double(f64::NAN),
            Value::Int(5),
            text("b"),
            Value::Double(-0.5),
            Value::Double(f64::NAN),
            Value::Int(-5),
            text("a"),
            text("5"),
        ];
        let expected = vec![
            text("5"),
            text("a"),
            text("b"),
            Value::Int(-5),
            Value::Int(5),
            Value::Double(-0.5),
            Value::Double(f64::NAN),
            Value::Bool(true),
        ];
        assert_eq!(collect(ValueLimits::NONE, &given), (expected, false));
    }

    #[test]
    fn limits_end_the_collection() {
        let given = [
            text("aa"),
            text("aa"),
            text("bb"),
            text("aa"),
            text("bb"),
            text("cc"),
        ];
        let two = vec![text("aa"), text("bb")];
        let all = vec![text("aa"), text("bb"), text("cc")];
        let none = ValueLimits::NONE;
        for (limits, expected, full) in [
            (none, &all, false),
            (ValueLimits { values: 3, ..none }, &all, false),
            (ValueLimits { values: 2, ..none }, &two, true),
            (ValueLimits { bytes: 5, ..none }, &two, true),
            (ValueLimits { bytes: 6, ..none }, &all, false),
            (ValueLimits { stale: 2, ..none }, &two, true),
            (ValueLimits { stale: 3, ..none }, &all, false),
        ] {
            assert_eq!(
                collect(limits, &given),
                (expected.clone(), full),
                "{limits:?}"
            );
        }
    }

    #[test]
    fn a_merge_keeps_the_limits() {
        let limits = ValueLimits {
            values: 2,
            ..ValueLimits::NONE
        };
        let mut set = ValueSet::new(limits);
        set.insert(text("a"));
        let mut other = set.clone();
        other.insert(text("b"));
        set.merge(other.clone());
        assert!(!set.is_full());
        other.insert(text("c"));
        set.merge(other);
        assert!(set.is_full());
    }
}
