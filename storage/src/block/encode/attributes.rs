//! Attributes of one scope: which keys and types there are, and their values.
//!
//! Attributes are collected per *unit*: a span, or a distinct resource or scope, which then counts
//! for as many rows as have it. So what is constant for many spans is looked at once.

use hashbrown::HashMap;

use crate::block::meta::{AttributeScope, ValueType};
use crate::model::{AnyValue, Attribute};

/// The types that can have a column, in the order that breaks ties.
pub(super) const SCALARS: [ValueType; 4] = [
    ValueType::String,
    ValueType::Int,
    ValueType::Double,
    ValueType::Bool,
];
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

/// One value, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) unit: u32,
    pub(super) attribute: &'a Attribute,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub(super) key: &'a str,
    last_unit: u32,
    /// Rows by type, in the order of [`TYPES`].
    counts: [u64; 9],
    /// First values of the scalar types, in the order of [`SCALARS`].
    pub(super) values: [Vec<Value<'a>>; 4],
}

impl Key<'_> {
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
    /// Values that can have no column: no scalars, or not the first of their key.
    pub(super) rest: Vec<Value<'a>>,
    collect: Collect,
    by_text: HashMap<&'a str, u32>,
    by_address: HashMap<(usize, usize), u32>,
    /// What stood at each position of the list before: lists of neighbours look alike.
    hints: Vec<((usize, usize), u32)>,
}

impl<'a> ScopeAttributes<'a> {
    pub(super) fn new(scope: AttributeScope, collect: Collect) -> Self {
        Self {
            scope,
            keys: Vec::new(),
            rest: Vec::new(),
            collect,
            by_text: HashMap::new(),
            by_address: HashMap::new(),
            hints: Vec::new(),
        }
    }

    /// Adds the attributes of one unit, which stands for `rows` rows. Units come in ascending order.
    pub(super) fn add(&mut self, unit: u32, attributes: &'a [Attribute], rows: u64) {
        for (position, attribute) in attributes.iter().enumerate() {
            let index = self.key_index(position, &attribute.key);
            let key = &mut self.keys[index as usize];
            let value = Value { unit, attribute };
            if key.last_unit == unit {
                if self.collect == Collect::Values {
                    self.rest.push(value);
                }
                continue;
            }
            key.last_unit = unit;
            let value_type = value_type(&attribute.value);
            key.counts[value_type as usize] += rows;
            if self.collect == Collect::Values {
                match key.values.get_mut(value_type as usize) {
                    Some(values) => values.push(value),
                    None => self.rest.push(value),
                }
            }
        }
    }

    fn key_index(&mut self, position: usize, key: &'a std::sync::Arc<str>) -> u32 {
        // Length goes with the address because an empty key may share its address with others.
        let address = (key.as_ptr().addr(), key.len());
        if let Some((hint, index)) = self.hints.get(position)
            && *hint == address
        {
            return *index;
        }
        let keys = &mut self.keys;
        let by_text = &mut self.by_text;
        let index = *self.by_address.entry(address).or_insert_with(|| {
            *by_text.entry(key).or_insert_with(|| {
                keys.push(Key {
                    key,
                    last_unit: u32::MAX,
                    counts: [0; 9],
                    values: Default::default(),
                });
                super::row_number(keys.len() - 1)
            })
        });
        if position < self.hints.len() {
            self.hints[position] = (address, index);
        } else if position < 64 {
            self.hints.resize(position + 1, ((0, 0), 0));
            self.hints[position] = (address, index);
        }
        index
    }
}

/// The type of a value, as far as queries tell types apart.
#[must_use]
pub fn value_type(value: &AnyValue) -> ValueType {
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
