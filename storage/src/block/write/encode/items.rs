//! Events and links: one list of structs each.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, StructArray, UInt32Array};

use super::arrive::{Item, SpanRow};
use super::entries::{EntryLists, list};
use super::text::{offset, text_array};
use crate::error::StorageError;
use crate::schema::{event_fields, item, link_fields};

pub(super) fn events(rows: &[SpanRow], items: &[Item<'_>]) -> Result<ArrayRef, StorageError> {
    let lists = Lists::new(rows, items, |row| row.events, "events")?;
    let columns: Vec<ArrayRef> = vec![
        lists.texts("event names")?,
        Arc::new(Int64Array::from_iter_values(
            lists.items().map(|event| event.time_ns),
        )),
        lists.dropped_attributes(),
        lists.attributes()?,
    ];
    structs(event_fields(), columns, lists.offsets)
}

pub(super) fn links(rows: &[SpanRow], items: &[Item<'_>]) -> Result<ArrayRef, StorageError> {
    let lists = Lists::new(rows, items, |row| row.links, "links")?;
    let columns: Vec<ArrayRef> = vec![
        fixed_bytes(16, lists.items().map(|link| &link.trace_id.0[..]))?,
        fixed_bytes(8, lists.items().map(|link| &link.span_id.0[..]))?,
        lists.texts("link states")?,
        Arc::new(UInt32Array::from_iter_values(
            lists.items().map(|link| link.flags),
        )),
        lists.dropped_attributes(),
        lists.attributes()?,
    ];
    structs(link_fields(), columns, lists.offsets)
}

/// The items of all rows, in row order.
struct Lists<'i, 'a> {
    items: Vec<&'i Item<'a>>,
    offsets: Vec<i32>,
}

impl<'i, 'a> Lists<'i, 'a> {
    fn new(
        rows: &[SpanRow],
        items: &'i [Item<'a>],
        range: impl Fn(&SpanRow) -> (u32, u32),
        what: &'static str,
    ) -> Result<Self, StorageError> {
        let mut out = Self {
            items: Vec::with_capacity(items.len()),
            offsets: vec![0],
        };
        for row in rows {
            let (start, end) = range(row);
            out.items.extend(&items[start as usize..end as usize]);
            out.offsets.push(offset(out.items.len(), what)?);
        }
        Ok(out)
    }

    fn items(&self) -> impl Iterator<Item = &'i Item<'a>> {
        self.items.iter().copied()
    }

    fn texts(&self, what: &'static str) -> Result<ArrayRef, StorageError> {
        let texts = self.items().map(|item| Some(item.text));
        Ok(Arc::new(text_array(texts, what)?))
    }

    fn dropped_attributes(&self) -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(
            self.items().map(|item| item.dropped_attributes_count),
        ))
    }

    fn attributes(&self) -> Result<ArrayRef, StorageError> {
        let mut lists = EntryLists::new();
        for item in self.items() {
            for (key, value) in &item.attributes {
                lists.push(key, value);
            }
            lists.end_list()?;
        }
        lists.finish()
    }
}

/// An array of byte strings of one length.
pub(super) fn fixed_bytes<'a>(
    width: i32,
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<ArrayRef, StorageError> {
    let mut bytes = Vec::new();
    values.for_each(|value| bytes.extend_from_slice(value));
    let array = FixedSizeBinaryArray::try_new(width, bytes.into(), None)
        .map_err(|error| StorageError::arrow("making an id column", error))?;
    Ok(Arc::new(array))
}

fn structs(
    fields: arrow::datatypes::Fields,
    columns: Vec<ArrayRef>,
    offsets: Vec<i32>,
) -> Result<ArrayRef, StorageError> {
    let length = columns.first().map_or(0, |column| column.len());
    let values = StructArray::try_new_with_length(fields.clone(), columns, None, length)
        .map_err(|error| StorageError::arrow("making events or links", error))?;
    list(item(fields), offsets, Arc::new(values))
}
