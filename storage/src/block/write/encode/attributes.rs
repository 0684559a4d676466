//! Attributes of one scope: which keys and types there are, and their values.
//!
//! Attributes are collected per *unit*: a span, or a distinct resource or scope, which then counts
//! for as many rows as have it. So what is constant for many spans is looked at once. Values go
//! straight to the list of their key and type, which is most of what a column is.

use hashbrown::HashMap;

use super::text::{TextCodes, checked};
use crate::block::meta::{AttributeScope, ValueType};
use crate::block::write::row_number::row_number;
use crate::model::{AnyValue, Attribute};
use crate::otlp::value_to_bytes;

/// The types that can have a column, in the order that breaks ties.
pub(super) const SCALARS: [ValueType; 4] = [
    ValueType::String,
    ValueType::Int,
    ValueType::Double,
    ValueType::Bool,
];
/// All types, in the order of their numbers.
const TYPES: [ValueType; 9] = [
    ValueType::String,
    ValueType::Int,
    ValueType::Double,
    ValueType::Bool,
    ValueType::StringArray,
    ValueType::IntArray,
    ValueType::DoubleArray,
    ValueType::BoolArray,
    ValueType::Other,
];

/// The value of an attribute, with its text where it was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum<'a> {
    /// The bytes of a text.
    Text(&'a [u8]),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// The bytes of a protobuf `AnyValue`.
    Other(ValueType, Vec<u8>),
}

impl<'a> Datum<'a> {
    pub(super) fn of(value: &'a AnyValue) -> Self {
        match value {
            AnyValue::String(text) => Self::Text(text.as_bytes()),
            AnyValue::Int(value) => Self::Int(*value),
            AnyValue::Double(value) => Self::Double(*value),
            AnyValue::Bool(value) => Self::Bool(*value),
            AnyValue::Empty
            | AnyValue::Bytes(_)
            | AnyValue::Array(_)
            | AnyValue::KeyValueList(_) => Self::Other(value_type(value), value_to_bytes(value)),
        }
    }

    fn value_type(&self) -> ValueType {
        match self {
            Self::Text(_) => ValueType::String,
            Self::Int(_) => ValueType::Int,
            Self::Double(_) => ValueType::Double,
            Self::Bool(_) => ValueType::Bool,
            Self::Other(value_type, _) => *value_type,
        }
    }
}

/// Values of one type, and the units that have them, in the order of units.
#[derive(Debug)]
pub(super) struct Values<T> {
    pub(super) units: Vec<u32>,
    pub(super) values: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl<T> Values<T> {
    fn push(&mut self, unit: u32, value: T) {
        self.units.push(unit);
        self.values.push(value);
    }

    fn datums<'a>(
        &self,
        datum: impl Fn(&T) -> Datum<'a>,
    ) -> impl Iterator<Item = (u32, Datum<'a>)> {
        self.units
            .iter()
            .copied()
            .zip(self.values.iter().map(datum))
    }
}

/// How many rows have a key, by type: what chooses columns and what a description says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyCounts<'a> {
    pub(crate) scope: AttributeScope,
    pub(crate) key: &'a str,
    /// Rows by type.
    pub(crate) counts: TypeCounts,
}

/// Rows by type, in the order of [`TYPES`].
pub(crate) type TypeCounts = [u64; TYPES.len()];

impl KeyCounts<'_> {
    /// Types that occur, most frequent first.
    pub(super) fn types(&self) -> Vec<(ValueType, u64)> {
        let mut types: Vec<(ValueType, u64)> = TYPES
            .into_iter()
            .zip(self.counts)
            .filter(|(_, count)| *count > 0)
            .collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        types
    }

    pub(super) fn count(&self, value_type: ValueType) -> u64 {
        self.counts[value_type as usize]
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// One key. Values are those that stand first in their unit.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub(super) key: &'a str,
    last_unit: u32,
    counts: TypeCounts,
    pub(super) text_codes: TextCodes<'a>,
    pub(super) texts: Values<i32>,
    pub(super) ints: Values<i64>,
    pub(super) doubles: Values<f64>,
    pub(super) bools: Values<bool>,
}

impl<'a> Key<'a> {
    pub(super) fn new(key: &'a str) -> Self {
        Self {
            key,
            last_unit: u32::MAX,
            counts: [0; 9],
            text_codes: TextCodes::default(),
            texts: Values::default(),
            ints: Values::default(),
            doubles: Values::default(),
            bools: Values::default(),
        }
    }

    /// The values of one of the [`SCALARS`], with their units.
    pub(super) fn datums(&self, value_type: ValueType) -> Vec<(u32, Datum<'a>)> {
        match value_type {
            ValueType::String => {
                let text = |code: &i32| Datum::Text(self.text_codes.text(*code).as_bytes());
                self.texts.datums(text).collect()
            }
            ValueType::Int => self.ints.datums(|value| Datum::Int(*value)).collect(),
            ValueType::Double => self.doubles.datums(|value| Datum::Double(*value)).collect(),
            ValueType::Bool => self.bools.datums(|value| Datum::Bool(*value)).collect(),
            ValueType::StringArray
            | ValueType::IntArray
            | ValueType::DoubleArray
            | ValueType::BoolArray
            | ValueType::Other => Vec::new(),
        }
    }
}

/// An attribute that is in no list of its key.
#[derive(Debug, Clone)]
pub(super) struct Rest<'a> {
    pub(super) unit: u32,
    pub(super) key: &'a str,
    pub(super) value: Datum<'a>,
}

/// Whether values are wanted, or only what keys and types there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collect {
    Values,
    Counts,
}

/// All attributes of one scope.
#[derive(Debug)]
pub(super) struct ScopeAttributes<'a> {
    pub(super) scope: AttributeScope,
    pub(super) keys: Vec<Key<'a>>,
    /// Values that can have no column: no scalars, or not the first of their key. In the order of
    /// units, and in the order received in each.
    pub(super) rest: Vec<Rest<'a>>,
    collect: Collect,
    by_text: HashMap<&'a [u8], u32>,
    /// What stood at each position of the list before: lists of neighbours look alike.
    hints: Vec<u32>,
}

impl<'a> ScopeAttributes<'a> {
    pub(super) fn new(scope: AttributeScope, collect: Collect) -> Self {
        Self {
            scope,
            keys: Vec::new(),
            rest: Vec::new(),
            collect,
            by_text: HashMap::new(),
            hints: Vec::new(),
        }
    }

    /// How many rows have each key.
    pub(super) fn counts(&self) -> impl Iterator<Item = KeyCounts<'a>> {
        let scope = self.scope;
        self.keys.iter().map(move |key| KeyCounts {
            scope,
            key: key.key,
            counts: key.counts,
        })
    }

    /// Adds the attributes of one unit, which stands for `rows` rows.
    pub(super) fn add_all(&mut self, unit: u32, attributes: &'a [Attribute], rows: u64) {
        for (position, attribute) in attributes.iter().enumerate() {
            let value = Datum::of(&attribute.value);
            self.add(unit, position, attribute.key.as_bytes(), value, rows);
        }
    }

    /// Adds one attribute of a unit, by the bytes of its key. Those of one unit come together and in
    /// order; units differ from the one before.
    pub(super) fn add(
        &mut self,
        unit: u32,
        position: usize,
        key: &'a [u8],
        value: Datum<'a>,
        rows: u64,
    ) {
        let index = self.key_index(position, key);
        let of_key = &mut self.keys[index as usize];
        let key = of_key.key;
        if of_key.last_unit == unit {
            if self.collect == Collect::Values {
                self.rest.push(Rest { unit, key, value });
            }
            return;
        }
        of_key.last_unit = unit;
        of_key.counts[value.value_type() as usize] += rows;
        if self.collect == Collect::Counts {
            return;
        }
        match value {
            Datum::Text(text) => {
                let code = of_key.text_codes.code_of_bytes(text);
                of_key.texts.push(unit, code);
            }
            Datum::Int(value) => of_key.ints.push(unit, value),
            Datum::Double(value) => of_key.doubles.push(unit, value),
            Datum::Bool(value) => of_key.bools.push(unit, value),
            Datum::Other(..) => self.rest.push(Rest { unit, key, value }),
        }
    }

    fn key_index(&mut self, position: usize, key: &'a [u8]) -> u32 {
        if let Some(hint) = self.hints.get(position)
            && self
                .keys
                .get(*hint as usize)
                .is_some_and(|hinted| hinted.key.as_bytes() == key)
        {
            return *hint;
        }
        let keys = &mut self.keys;
        let index = *self.by_text.entry(key).or_insert_with(|| {
            keys.push(Key::new(checked(key)));
            row_number(keys.len() - 1)
        });
        if position >= self.hints.len() && position < 64 {
            self.hints.resize(position + 1, u32::MAX);
        }
        if let Some(hint) = self.hints.get_mut(position) {
            *hint = index;
        }
        index
    }
}

/// The type of a value, as far as queries tell types apart.
#[must_use]
pub(super) fn value_type(value: &AnyValue) -> ValueType {
    match value {
        AnyValue::String(_) => ValueType::String,
        AnyValue::Int(_) => ValueType::Int,
        AnyValue::Double(_) => ValueType::Double,
        AnyValue::Bool(_) => ValueType::Bool,
        AnyValue::Array(values) => {
            let of = |wanted: ValueType| values.iter().all(|value| value_type(value) == wanted);
            match values.first().map(value_type) {
                Some(ValueType::String) if of(ValueType::String) => ValueType::StringArray,
                Some(ValueType::Int) if of(ValueType::Int) => ValueType::IntArray,
                Some(ValueType::Double) if of(ValueType::Double) => ValueType::DoubleArray,
                Some(ValueType::Bool) if of(ValueType::Bool) => ValueType::BoolArray,
                _ => ValueType::Other,
            }
        }
        AnyValue::Empty | AnyValue::Bytes(_) | AnyValue::KeyValueList(_) => ValueType::Other,
    }
}
