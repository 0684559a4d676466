//! How many spans, events and links have each attribute, without the columns that encoding would make.

use std::collections::BTreeMap;
use std::ops::Range;

use super::attributes::{Collect, Datum, KeyCounts, ScopeAttributes, TypeCounts, value_type};
use crate::block::meta::{AttributeMeta, AttributeScope, ValueType};
use crate::block::read::entries::{Entries, EntryValue};
use crate::error::StorageError;
use crate::otlp::KeyInterner;

/// How many spans, events and links have each attribute, by type, as the description of a block says:
/// where a key stands twice in one list only the first counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttributeCounts {
    scopes: [BTreeMap<String, TypeCounts>; SCOPES.len()],
}

/// All scopes, in the order of their numbers.
const SCOPES: [AttributeScope; 5] = [
    AttributeScope::Resource,
    AttributeScope::Instrumentation,
    AttributeScope::Span,
    AttributeScope::Event,
    AttributeScope::Link,
];

impl AttributeCounts {
    /// The counts by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = KeyCounts<'_>> {
        SCOPES.iter().zip(&self.scopes).flat_map(|(scope, keys)| {
            keys.iter().map(|(key, counts)| KeyCounts {
                scope: *scope,
                key,
                counts: *counts,
            })
        })
    }

    /// How many have a value of this type.
    pub(crate) fn count(&self, scope: AttributeScope, key: &str, value_type: ValueType) -> u64 {
        let counts = self.scopes[scope as usize].get(key);
        counts.map_or(0, |counts| counts[value_type as usize])
    }

    /// Adds so many that have a value of this type.
    pub(crate) fn add(
        &mut self,
        scope: AttributeScope,
        key: &str,
        value_type: ValueType,
        count: u64,
    ) {
        if count > 0 {
            self.of_key(scope, key)[value_type as usize] += count;
        }
    }

    /// Adds what a description says, which must name every key.
    pub(crate) fn add_described(&mut self, attributes: &[AttributeMeta]) {
        for attribute in attributes {
            for of_type in &attribute.types {
                self.add(
                    attribute.scope,
                    &attribute.key,
                    of_type.value_type,
                    of_type.count,
                );
            }
        }
    }

    /// Adds the entries of some lists. Those that `is_later` says yes to, by the place of the entry and
    /// its list, have one of the same key before them that is not in the list.
    ///
    /// # Errors
    ///
    /// If a value cannot be read.
    pub(crate) fn add_lists(
        &mut self,
        scope: AttributeScope,
        entries: &Entries<'_>,
        lists: Range<usize>,
        object: &str,
        is_later: impl Fn(usize, usize) -> bool,
    ) -> Result<(), StorageError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut found = ScopeAttributes::new(scope, Collect::Counts);
        let mut keys = KeyInterner::default();
        for (unit, list) in (0..=u32::MAX >> 1).cycle().zip(lists) {
            for (position, at) in entries.of_row(list).enumerate() {
                if is_later(at, list) {
                    continue;
                }
                let value = match entries.value(at) {
                    EntryValue::String(text) => Datum::Text(text.as_bytes()),
                    EntryValue::Int(value) => Datum::Int(value),
                    EntryValue::Double(value) => Datum::Double(value),
                    EntryValue::Bool(value) => Datum::Bool(value),
                    EntryValue::Other(_) => {
                        let value = entries.decoded(at, &mut keys, object)?;
                        Datum::Other(value_type(&value), Vec::new())
                    }
                };
                found.add(unit, position, entries.key(at).as_bytes(), value, 1);
            }
        }
        self.add_counted(&found);
        Ok(())
    }

    /// Adds other counts.
    pub(crate) fn add_all(&mut self, other: &Self) {
        other.iter().for_each(|counted| self.add_key(counted));
    }

    fn add_counted(&mut self, counted: &ScopeAttributes<'_>) {
        for counted in counted.counts() {
            self.add_key(counted);
        }
    }

    fn add_key(&mut self, counted: KeyCounts<'_>) {
        let counts = self.of_key(counted.scope, counted.key);
        for (count, more) in counts.iter_mut().zip(counted.counts) {
            *count += more;
        }
    }

    fn of_key(&mut self, scope: AttributeScope, key: &str) -> &mut TypeCounts {
        self.scopes[scope as usize]
            .entry(key.to_owned())
            .or_default()
    }
}
