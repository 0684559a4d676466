//! A column of attribute lists, taken apart.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray,
    StringArray, StructArray,
};

use crate::error::StorageError;
use crate::model::{AnyValue, Attribute};
use crate::otlp::{KeyInterner, value_from_bytes};
use crate::schema::names;

/// A list column of attributes: an entry for each attribute, those of a row one after the other.
#[derive(Debug)]
pub struct Entries<'a> {
    lists: &'a ListArray,
    keys: &'a StringArray,
    strings: &'a StringArray,
    ints: &'a Int64Array,
    doubles: &'a Float64Array,
    bools: &'a BooleanArray,
    others: &'a BinaryArray,
}

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EntryValue<'a> {
    /// Text.
    String(&'a str),
    /// A whole number.
    Int(i64),
    /// A float.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// Anything else: a protobuf `AnyValue`.
    Other(&'a [u8]),
}

impl EntryValue<'_> {
    /// The elements, if it is an array.
    #[must_use]
    pub fn elements(self) -> Option<Vec<AnyValue>> {
        let Self::Other(bytes) = self else {
            return None;
        };
        match value_from_bytes(bytes, &mut KeyInterner::default()) {
            Some(AnyValue::Array(elements)) => Some(elements),
            _ => None,
        }
    }
}

impl<'a> Entries<'a> {
    /// Takes a column apart; `None` if it is none of attribute lists.
    #[must_use]
    pub fn new(array: &'a ArrayRef) -> Option<Self> {
        let lists = array.as_list_opt::<i32>()?;
        let entries = lists.values().as_struct_opt()?;
        Some(Self {
            lists,
            keys: field(entries, names::ENTRY_KEY)?,
            strings: field(entries, names::ENTRY_STRING)?,
            ints: field(entries, names::ENTRY_INT)?,
            doubles: field(entries, names::ENTRY_DOUBLE)?,
            bools: field(entries, names::ENTRY_BOOL)?,
            others: field(entries, names::ENTRY_OTHER)?,
        })
    }

    /// Number of lists.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.lists.len()
    }

    /// Whether no list has any entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let offsets = self.lists.value_offsets();
        offsets.first() == offsets.last()
    }

    /// Where the entries of a row are, ordered by key, equal keys as they were received.
    #[must_use]
    pub fn of_row(&self, row: usize) -> Range<usize> {
        if self.lists.is_null(row) {
            return 0..0;
        }
        let offset = |at: usize| usize::try_from(self.lists.value_offsets()[at]).unwrap_or(0);
        offset(row)..offset(row + 1)
    }

    /// The key of an entry.
    #[must_use]
    pub fn key(&self, at: usize) -> &'a str {
        self.keys.value(at)
    }

    /// The value of an entry.
    #[must_use]
    pub fn value(&self, at: usize) -> EntryValue<'a> {
        if self.strings.is_valid(at) {
            EntryValue::String(self.strings.value(at))
        } else if self.ints.is_valid(at) {
            EntryValue::Int(self.ints.value(at))
        } else if self.doubles.is_valid(at) {
            EntryValue::Double(self.doubles.value(at))
        } else if self.bools.is_valid(at) {
            EntryValue::Bool(self.bools.value(at))
        } else {
            EntryValue::Other(self.others.value(at))
        }
    }

    /// Appends the attributes of a row.
    pub(crate) fn read(
        &self,
        row: usize,
        keys: &mut KeyInterner,
        object: &str,
        out: &mut Vec<Attribute>,
    ) -> Result<(), StorageError> {
        for at in self.of_row(row) {
            let value = self.decoded(at, keys, object)?;
            out.push(Attribute {
                key: keys.intern(self.key(at)),
                value,
            });
        }
        Ok(())
    }

    /// The value of an entry, decoded.
    pub(crate) fn decoded(
        &self,
        at: usize,
        keys: &mut KeyInterner,
        object: &str,
    ) -> Result<AnyValue, StorageError> {
        Ok(match self.value(at) {
            EntryValue::String(text) => AnyValue::String(text.to_owned()),
            EntryValue::Int(number) => AnyValue::Int(number),
            EntryValue::Double(number) => AnyValue::Double(number),
            EntryValue::Bool(truth) => AnyValue::Bool(truth),
            EntryValue::Other(bytes) => value_from_bytes(bytes, keys)
                .ok_or_else(|| StorageError::malformed(object, "an attribute value"))?,
        })
    }

    /// Appends bytes that are equal for equal attributes of a row.
    pub(crate) fn sign(&self, row: usize, out: &mut Vec<u8>) {
        let range = self.of_row(row);
        out.extend(range.len().to_le_bytes());
        let mut bytes = |content: &[u8]| {
            out.extend(content.len().to_le_bytes());
            out.extend_from_slice(content);
        };
        for at in range {
            bytes(self.key(at).as_bytes());
            match self.value(at) {
                EntryValue::String(text) => {
                    bytes(b"s");
                    bytes(text.as_bytes());
                }
                EntryValue::Int(number) => {
                    bytes(b"i");
                    bytes(&number.to_le_bytes());
                }
                EntryValue::Double(number) => {
                    bytes(b"d");
                    bytes(&number.to_le_bytes());
                }
                EntryValue::Bool(truth) => bytes(if truth { b"t" } else { b"f" }),
                EntryValue::Other(value) => {
                    bytes(b"o");
                    bytes(value);
                }
            }
        }
    }
}

/// A field of a struct, if it has this type.
pub(super) fn field<'a, T: 'static>(entries: &'a StructArray, name: &str) -> Option<&'a T> {
    entries.column_by_name(name)?.as_any().downcast_ref()
}
