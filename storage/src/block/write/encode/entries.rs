//! Lists of attributes: residual columns, and the attributes of events and links.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListArray,
    StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;

use super::attributes::Datum;
use super::text::{checked, offset};
use crate::block::read::entries::EntryValue;
use crate::error::StorageError;
use crate::schema::{entry_fields, entry_item};

/// Builds a list column of attributes.
#[derive(Debug)]
pub(crate) struct EntryBuilder {
    offsets: Vec<i32>,
    keys: StringBuilder,
    strings: StringBuilder,
    ints: Int64Builder,
    doubles: Float64Builder,
    bools: BooleanBuilder,
    others: BinaryBuilder,
    text_bytes: usize,
    count: usize,
}

impl EntryBuilder {
    pub(crate) fn new() -> Self {
        Self {
            offsets: vec![0],
            keys: StringBuilder::new(),
            strings: StringBuilder::new(),
            ints: Int64Builder::new(),
            doubles: Float64Builder::new(),
            bools: BooleanBuilder::new(),
            others: BinaryBuilder::new(),
            text_bytes: 0,
            count: 0,
        }
    }

    /// Adds an entry to the open list, behind those that it has.
    pub(crate) fn append(&mut self, key: &str, value: EntryValue<'_>) -> Result<(), StorageError> {
        let (mut text, mut int, mut double, mut boolean, mut other) =
            (None, None, None, None, None);
        match value {
            EntryValue::String(value) => text = Some(value),
            EntryValue::Int(value) => int = Some(value),
            EntryValue::Double(value) => double = Some(value),
            EntryValue::Bool(value) => boolean = Some(value),
            EntryValue::Other(bytes) => other = Some(bytes),
        }
        self.text_bytes += key.len() + text.map_or(0, str::len) + other.map_or(0, <[u8]>::len);
        // The builders panic past this, so it is checked before.
        offset(self.text_bytes, "bytes of attributes in lists")?;
        self.keys.append_value(key);
        self.strings.append_option(text);
        self.ints.append_option(int);
        self.doubles.append_option(double);
        self.bools.append_option(boolean);
        self.others.append_option(other);
        self.count += 1;
        Ok(())
    }

    /// Ends the open list.
    pub(crate) fn end_list(&mut self) -> Result<(), StorageError> {
        let end = offset(self.count, "attributes in lists")?;
        self.offsets.push(end);
        Ok(())
    }

    /// Bytes of keys, texts and other values so far.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The column.
    pub(crate) fn finish(mut self) -> Result<ArrayRef, StorageError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.keys.finish()),
            Arc::new(self.strings.finish()),
            Arc::new(self.ints.finish()),
            Arc::new(self.doubles.finish()),
            Arc::new(self.bools.finish()),
            Arc::new(self.others.finish()),
        ];
        let entries = StructArray::try_new(entry_fields(), columns, None)
            .map_err(|error| StorageError::arrow("making attribute lists", error))?;
        list(entry_item(), self.offsets, Arc::new(entries))
    }
}

/// Builds a list column of attributes that come in any order.
#[derive(Debug)]
pub(super) struct EntryLists<'a> {
    entries: EntryBuilder,
    /// Entries of the open list.
    open: Vec<(&'a str, &'a Datum<'a>)>,
    /// Bytes of each list.
    sizes: Vec<usize>,
}

impl<'a> EntryLists<'a> {
    pub(super) fn new() -> Self {
        Self {
            entries: EntryBuilder::new(),
            open: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// Adds an attribute to the open list.
    pub(super) fn push(&mut self, key: &'a str, value: &'a Datum<'a>) {
        self.open.push((key, value));
    }

    /// Ends the open list. Entries are put in key order, so that the order of different keys on
    /// arrival leaves no trace; equal keys keep their order.
    pub(super) fn end_list(&mut self) -> Result<(), StorageError> {
        let before = self.entries.text_bytes();
        self.open.sort_by_key(|(key, _)| *key);
        for (key, value) in self.open.drain(..) {
            self.entries.append(key, entry_value(value))?;
        }
        self.entries.end_list()?;
        self.sizes.push(self.entries.text_bytes() - before);
        Ok(())
    }

    /// Bytes of each list so far.
    pub(super) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    pub(super) fn finish(self) -> Result<ArrayRef, StorageError> {
        self.entries.finish()
    }
}

fn entry_value<'a>(value: &'a Datum<'a>) -> EntryValue<'a> {
    match value {
        Datum::Text(value) => EntryValue::String(checked(value)),
        Datum::Int(value) => EntryValue::Int(*value),
        Datum::Double(value) => EntryValue::Double(*value),
        Datum::Bool(value) => EntryValue::Bool(*value),
        Datum::Other(_, bytes) => EntryValue::Other(bytes),
    }
}

/// A list array without null lists.
pub(super) fn list(
    item: arrow::datatypes::FieldRef,
    offsets: Vec<i32>,
    values: Arc<dyn Array>,
) -> Result<ArrayRef, StorageError> {
    let array = ListArray::try_new(item, OffsetBuffer::new(offsets.into()), values, None)
        .map_err(|error| StorageError::arrow("making lists", error))?;
    Ok(Arc::new(array))
}
