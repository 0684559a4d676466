//! Lists of attributes: residual columns, and the attributes of events and links.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListArray,
    StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;

use super::attributes::Datum;
use super::text::{checked, offset};
use crate::error::StorageError;
use crate::schema::{entry_fields, entry_item};

/// Builds a list column of attributes.
#[derive(Debug)]
pub(super) struct EntryLists<'a> {
    offsets: Vec<i32>,
    keys: StringBuilder,
    strings: StringBuilder,
    ints: Int64Builder,
    doubles: Float64Builder,
    bools: BooleanBuilder,
    others: BinaryBuilder,
    /// Entries of the open list.
    open: Vec<(&'a str, &'a Datum<'a>)>,
    text_bytes: usize,
    count: usize,
    /// Bytes of each list.
    sizes: Vec<usize>,
}

impl<'a> EntryLists<'a> {
    pub(super) fn new() -> Self {
        Self {
            offsets: vec![0],
            keys: StringBuilder::new(),
            strings: StringBuilder::new(),
            ints: Int64Builder::new(),
            doubles: Float64Builder::new(),
            bools: BooleanBuilder::new(),
            others: BinaryBuilder::new(),
            open: Vec::new(),
            text_bytes: 0,
            count: 0,
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
        let before = self.text_bytes;
        let mut open = std::mem::take(&mut self.open);
        open.sort_by_key(|(key, _)| *key);
        for (key, value) in open.drain(..) {
            self.append(key, value)?;
        }
        self.open = open;
        self.offsets
            .push(offset(self.count, "attributes in lists")?);
        self.sizes.push(self.text_bytes - before);
        Ok(())
    }

    /// Bytes of each list so far.
    pub(super) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn append(&mut self, key: &str, value: &Datum<'_>) -> Result<(), StorageError> {
        let (mut text, mut int, mut double, mut boolean, mut other) =
            (None, None, None, None, None);
        match value {
            Datum::Text(value) => text = Some(checked(value)),
            Datum::Int(value) => int = Some(*value),
            Datum::Double(value) => double = Some(*value),
            Datum::Bool(value) => boolean = Some(*value),
            Datum::Other(_, bytes) => other = Some(bytes),
        }
        let value_bytes = text.map_or(0, str::len) + other.map_or(0, Vec::len);
        self.text_bytes += key.len() + value_bytes;
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

    pub(super) fn finish(mut self) -> Result<ArrayRef, StorageError> {
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
