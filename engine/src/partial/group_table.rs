//! Numbers for the groups of a query, by their keys.
//!
//! A query by user has a hundred thousand groups, in each job and in the answer. Their keys stand one
//! behind the other, so that a group costs no allocation, and each is hashed once, when a job's result
//! is taken in: all tables hash alike, and a table added to another brings its hashes along.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::LazyLock;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::index::index;
use crate::key::KeyValue;
use crate::threads;

static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// Numbers distinct keys in order of appearance. A key is one value for each `by` attribute.
#[derive(Debug)]
pub(super) struct GroupTable {
    /// Values of a key.
    width: usize,
    numbers: HashTable<u32>,
    /// Of each key.
    hashes: Vec<u64>,
    /// The values, key after key.
    values: Vec<HeldValue>,
    texts: String,
}

/// A value of a key.
#[derive(Debug)]
enum HeldValue {
    /// Where it stands among the texts.
    Text(Range<usize>),
    Other(KeyValue<'static>),
}

impl GroupTable {
    /// No groups, by so many attributes.
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            numbers: HashTable::new(),
            hashes: Vec::new(),
            values: Vec::new(),
            texts: String::new(),
        }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Makes room for so many more groups.
    pub(super) fn reserve(&mut self, groups: usize) {
        let hashes = &self.hashes;
        self.numbers
            .reserve(groups, |&number| hashes[index(number)]);
    }

    /// The number of a key.
    pub(super) fn number(&mut self, key: &[KeyValue<'_>]) -> u32 {
        self.number_hashed(HASHER.hash_one(key), key.iter().copied())
    }

    /// The number of a key of another table.
    pub(super) fn number_of(&mut self, other: &Self, number: u32) -> u32 {
        self.number_hashed(other.hashes[index(number)], other.key(number))
    }

    fn number_hashed<'k>(
        &mut self,
        hash: u64,
        key: impl Iterator<Item = KeyValue<'k>> + Clone,
    ) -> u32 {
        let same = |&number: &u32| {
            let mut values = self.key(number).zip(key.clone());
            self.hashes[index(number)] == hash && values.all(|(held, value)| held == value)
        };
        if let Some(&number) = self.numbers.find(hash, same) {
            return number;
        }
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        for value in key {
            let held = match value {
                KeyValue::String(text) => {
                    let start = self.texts.len();
                    self.texts.push_str(text);
                    HeldValue::Text(start..self.texts.len())
                }
                KeyValue::Nil => HeldValue::Other(KeyValue::Nil),
                KeyValue::Int(value) => HeldValue::Other(KeyValue::Int(value)),
                KeyValue::Float(bits) => HeldValue::Other(KeyValue::Float(bits)),
                KeyValue::Bool(value) => HeldValue::Other(KeyValue::Bool(value)),
                KeyValue::Duration(ns) => HeldValue::Other(KeyValue::Duration(ns)),
                KeyValue::Status(code) => HeldValue::Other(KeyValue::Status(code)),
                KeyValue::Kind(number) => HeldValue::Other(KeyValue::Kind(number)),
            };
            self.values.push(held);
        }
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.numbers
            .insert_unique(hash, number, |&number| hashes[index(number)]);
        number
    }

    /// The values of a group.
    pub(super) fn key(&self, number: u32) -> impl Iterator<Item = KeyValue<'_>> + Clone {
        let start = index(number) * self.width;
        let held = self.values[start..start + self.width].iter();
        held.map(|held| match held {
            HeldValue::Text(place) => KeyValue::String(&self.texts[place.clone()]),
            HeldValue::Other(value) => *value,
        })
    }

    /// Those groups that are `wanted`, by the first bytes of their first text, which is nearly the order
    /// of series.
    pub(super) fn in_near_order(&self, wanted: impl Fn(&u32) -> bool) -> Vec<u32> {
        /// Long enough to tell most values of an attribute apart.
        const BYTES: usize = size_of::<u128>();
        let first_bytes = |number| match self.key(number).next() {
            Some(KeyValue::String(text)) => {
                let mut bytes = [0; BYTES];
                let length = text.len().min(BYTES);
                bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
                u128::from_be_bytes(bytes)
            }
            _ => 0,
        };
        let numbers = (0..).take(self.len()).filter(wanted);
        let mut ordered: Vec<_> = numbers
            .map(|number| (first_bytes(number), number))
            .collect();
        threads::sort(&mut ordered);
        ordered.into_iter().map(|(_, number)| number).collect()
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        self.numbers.allocation_size()
            + self.hashes.capacity() * size_of::<u64>()
            + self.values.capacity() * size_of::<HeldValue>()
            + self.texts.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_have_one_number_in_every_table() {
        let keys = [
            [KeyValue::String("a"), KeyValue::Nil],
            [KeyValue::String(""), KeyValue::Int(1)],
            [KeyValue::Nil, KeyValue::String("a")],
            [KeyValue::Nil, KeyValue::Status(1)],
            [KeyValue::Bool(true), KeyValue::Float(1)],
            [KeyValue::Duration(1), KeyValue::Kind(1)],
        ];
        let mut table = GroupTable::new(2);
        for _ in 0..2 {
            let numbers: Vec<u32> = keys.iter().map(|key| table.number(key)).collect();
            assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        }
        let shown: Vec<Vec<_>> = (0..6).map(|number| table.key(number).collect()).collect();
        assert_eq!(shown, keys);
        let mut other = GroupTable::new(2);
        other.number(&[KeyValue::Int(7), KeyValue::Nil]);
        other.number(&keys[4]);
        let numbers: Vec<u32> = (0..6)
            .map(|number| other.number_of(&table, number))
            .collect();
        assert_eq!(numbers, [2, 3, 4, 5, 1, 6]);
        assert_eq!(other.len(), 7);
    }

    #[test]
    fn without_attributes_there_is_one_group() {
        let mut table = GroupTable::new(0);
        assert_eq!((table.number(&[]), table.number(&[])), (0, 0));
        assert_eq!((table.len(), table.key(0).count()), (1, 0));
    }
}
