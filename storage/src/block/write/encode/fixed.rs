//! The columns that every block has, but for attributes, events and links.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, FixedSizeBinaryBuilder, Float64Array, Int32Array, Int64Array,
    ListBuilder, UInt32Array,
};
use arrow::datatypes::{DataType, Field};

use super::arrive::{Arrived, Origin, SpanRow};
use super::items::fixed_bytes;
use super::rows::{Rows, Trace};
use super::text::{NO_CODE, TextCodes, dictionary_of_units};
use crate::error::StorageError;
use crate::model::Resource;
use crate::otlp::adjusted_count;

const SECOND_NS: i64 = 1_000_000_000;

/// Seconds, rounded up: the end of the left-open interval that the time falls into.
fn ceil_seconds(time_ns: i64) -> i64 {
    time_ns.div_euclid(SECOND_NS) + i64::from(time_ns.rem_euclid(SECOND_NS) != 0)
}

/// The columns that every block has, in schema order.
pub(super) fn columns(all: &Rows, arrived: &Arrived<'_>) -> Result<Vec<ArrayRef>, StorageError> {
    type Make<'b> = Box<dyn Fn() -> Result<ArrayRef, StorageError> + Send + Sync + 'b>;
    let rows = &all.rows;
    let tree = &all.tree;
    let int64 = |f: fn(&SpanRow) -> i64| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int64Array::from_iter_values(rows.iter().map(f)))))
    };
    let int32 = |f: fn(&SpanRow) -> i32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int32Array::from_iter_values(rows.iter().map(f)))))
    };
    let uint32 = |f: fn(&SpanRow) -> u32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(UInt32Array::from_iter_values(rows.iter().map(f)))))
    };
    let origins = move || {
        all.units
            .iter()
            .map(|unit| &arrived.origins[*unit as usize])
    };
    let resource = move |row: &SpanRow| &*all.resources[row.resource as usize];
    let scope = move |row: &SpanRow| &*all.scopes[row.scope as usize];
    let (of_resource, of_scope) = (&all.resource_of_row, &all.scope_of_row);
    let columns: Vec<Make<'_>> = vec![
        Box::new(|| fixed_bytes(16, rows.iter().map(|row| &row.trace_id.0[..]))),
        Box::new(|| fixed_bytes(8, rows.iter().map(|row| &row.span_id.0[..]))),
        Box::new(|| {
            let each = |trace: &Trace| 0..trace.row_count;
            Ok(Arc::new(UInt32Array::from_iter_values(
                all.traces.iter().flat_map(each),
            )))
        }),
        Box::new(|| {
            Ok(Arc::new(Int32Array::from_iter_values(
                tree.iter().map(|row| row.depth),
            )))
        }),
        Box::new(|| {
            Ok(Arc::new(UInt32Array::from_iter_values(
                tree.iter().map(|row| row.descendants),
            )))
        }),
        Box::new(|| literal_parents(all)),
        int64(|row| ceil_seconds(row.start_ns)),
        int64(|row| row.start_ns),
        int64(|row| row.duration_ns()),
        Box::new(|| {
            Ok(Arc::new(
                rows.iter().map(literal_end).collect::<Int64Array>(),
            ))
        }),
        Box::new(|| {
            let codes = rows.iter().map(|row| row.name);
            arrived.names.column(codes.collect())
        }),
        int32(|row| row.kind),
        int32(|row| row.status_code),
        Box::new(|| {
            let codes = rows.iter().map(|row| row.status_message);
            arrived.status_messages.column(codes.collect())
        }),
        Box::new(|| {
            Ok(Arc::new(Int32Array::from_iter_values(
                tree.iter().map(|row| row.child_count),
            )))
        }),
        Box::new(|| of_root(all, |row| arrived.names.text(rows[row as usize].name))),
        Box::new(|| {
            of_root(all, |row| {
                resource(&rows[row as usize])
                    .service_name()
                    .unwrap_or_default()
            })
        }),
        Box::new(|| {
            let each = |trace: &Trace| repeat(trace.duration_ns, trace);
            Ok(Arc::new(Int64Array::from_iter_values(
                all.traces.iter().flat_map(each),
            )))
        }),
        Box::new(|| {
            let states = &arrived.trace_states;
            let has_state = |code: &i32| !states.text(*code).is_empty();
            let code = |row: &SpanRow| Some(row.trace_state).filter(has_state).unwrap_or(NO_CODE);
            states.column(rows.iter().map(code).collect())
        }),
        uint32(|row| row.flags),
        uint32(|row| row.dropped_attributes_count),
        uint32(|row| row.dropped_events_count),
        uint32(|row| row.dropped_links_count),
        Box::new(move || {
            let seconds = origins().map(Origin::received_s);
            Ok(Arc::new(seconds.collect::<Int64Array>()))
        }),
        Box::new(move || {
            let lengths = origins().map(Origin::received_bytes);
            Ok(Arc::new(lengths.collect::<UInt32Array>()))
        }),
        Box::new(|| Ok(sampling_weights(rows, arrived))),
        Box::new(|| {
            dictionary_of_units(all.scopes.iter().map(|s| s.name.as_str()), of_scope, false)
        }),
        Box::new(|| {
            dictionary_of_units(
                all.scopes.iter().map(|s| s.version.as_str()),
                of_scope,
                false,
            )
        }),
        Box::new(|| {
            let urls = all
                .resources
                .iter()
                .map(|resource| resource.schema_url.as_str());
            dictionary_of_units(urls, of_resource, true)
        }),
        Box::new(|| {
            let counts = rows
                .iter()
                .map(|row| resource(row).dropped_attributes_count);
            Ok(Arc::new(UInt32Array::from_iter_values(counts)))
        }),
        Box::new(|| Ok(entity_refs(rows.iter().map(resource)))),
        Box::new(|| {
            let urls = all.scopes.iter().map(|scope| scope.schema_url.as_str());
            dictionary_of_units(urls, of_scope, true)
        }),
        Box::new(|| {
            let counts = rows.iter().map(|row| scope(row).dropped_attributes_count);
            Ok(Arc::new(UInt32Array::from_iter_values(counts)))
        }),
    ];
    use rayon::prelude::*;
    columns.par_iter().map(|make| make()).collect()
}

/// Parent ids of those that have no parent in the block.
fn literal_parents(all: &Rows) -> Result<ArrayRef, StorageError> {
    let mut out = FixedSizeBinaryBuilder::with_capacity(all.rows.len(), 8);
    for (row, tree) in all.rows.iter().zip(&all.tree) {
        // The id of a row that is the parent is the parent id: that is how it was found.
        match row.parent {
            Some(id) if tree.depth.abs() == 1 => out
                .append_value(id.0)
                .map_err(|error| StorageError::arrow("making the parent column", error))?,
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn literal_end(span: &SpanRow) -> Option<i64> {
    (span.start_ns.checked_add(span.duration_ns()) != Some(span.end_ns)).then_some(span.end_ns)
}

/// How many spans each one stands for, where that is not one. Trace states are few: each is read once.
fn sampling_weights(rows: &[SpanRow], arrived: &Arrived<'_>) -> ArrayRef {
    let weight = |state| adjusted_count(state).filter(|count| *count > 1.0);
    let of_code: Vec<Option<f64>> = arrived.trace_states.texts().map(weight).collect();
    let of_row = |row: &SpanRow| {
        let code = usize::try_from(row.trace_state).ok()?;
        *of_code.get(code)?
    };
    Arc::new(rows.iter().map(of_row).collect::<Float64Array>())
}

fn repeat<T: Copy>(value: T, trace: &Trace) -> impl Iterator<Item = T> + use<T> {
    std::iter::repeat_n(value, trace.row_count as usize)
}

/// A text of the root span for each row of its trace.
fn of_root<'a>(all: &'a Rows, text: impl Fn(u32) -> &'a str) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let mut of_row = Vec::with_capacity(all.rows.len());
    for trace in &all.traces {
        let code = codes.code(trace.root.map_or("", &text));
        of_row.extend(repeat(code, trace));
    }
    codes.column(of_row)
}

fn entity_refs<'a>(resources: impl Iterator<Item = &'a Resource>) -> ArrayRef {
    let item = Field::new("item", DataType::Binary, false);
    let mut out = ListBuilder::new(BinaryBuilder::new()).with_field(item);
    for resource in resources {
        resource
            .entity_refs
            .iter()
            .for_each(|entity| out.values().append_value(entity));
        out.append(!resource.entity_refs.is_empty());
    }
    Arc::new(out.finish())
}
