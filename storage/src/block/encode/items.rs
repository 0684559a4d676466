//! Events and links: one list of structs each.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, Int64Array, StructArray, UInt32Array};

use super::entries::{EntryLists, list};
use super::rows::Row;
use super::text::{offset, text_array};
use crate::error::StorageError;
use crate::model::{Event, Link};
use crate::schema::{event_fields, item, link_fields};

pub(super) fn events(rows: &[Row<'_>]) -> Result<ArrayRef, StorageError> {
    let offsets = offsets(rows.iter().map(|row| row.span.events.len()), "events")?;
    let all = || rows.iter().flat_map(|row| &row.span.events);
    let mut attributes = EntryLists::new();
    for event in all() {
        event
            .attributes
            .iter()
            .for_each(|attribute| attributes.push(attribute));
        attributes.end_list()?;
    }
    let names = text_array(
        all().map(|event: &Event| Some(event.name.as_str())),
        "event names",
    )?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(names),
        Arc::new(all().map(|event| event.time_ns).collect::<Int64Array>()),
        Arc::new(UInt32Array::from_iter_values(
            all().map(|event| event.dropped_attributes_count),
        )),
        attributes.finish()?,
    ];
    structs(event_fields(), columns, offsets)
}

pub(super) fn links(rows: &[Row<'_>]) -> Result<ArrayRef, StorageError> {
    let offsets = offsets(rows.iter().map(|row| row.span.links.len()), "links")?;
    let all = || rows.iter().flat_map(|row| &row.span.links);
    let mut attributes = EntryLists::new();
    for link in all() {
        link.attributes
            .iter()
            .for_each(|attribute| attributes.push(attribute));
        attributes.end_list()?;
    }
    let states = text_array(
        all().map(|link: &Link| Some(link.trace_state.as_str())),
        "link states",
    )?;
    let columns: Vec<ArrayRef> = vec![
        fixed_bytes(16, all().map(|link| &link.trace_id.0[..]))?,
        fixed_bytes(8, all().map(|link| &link.span_id.0[..]))?,
        Arc::new(states),
        Arc::new(UInt32Array::from_iter_values(all().map(|link| link.flags))),
        Arc::new(UInt32Array::from_iter_values(
            all().map(|link| link.dropped_attributes_count),
        )),
        attributes.finish()?,
    ];
    structs(link_fields(), columns, offsets)
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

fn offsets(
    lengths: impl Iterator<Item = usize>,
    what: &'static str,
) -> Result<Vec<i32>, StorageError> {
    let mut total = 0;
    let mut offsets = vec![0];
    for length in lengths {
        total += length;
        offsets.push(offset(total, what)?);
    }
    Ok(offsets)
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
