//! Spans to Arrow: the one place where the layout of a block is made.
//!
//! Steps, one module each: [`from_wire`] and [`from_model`] take spans apart into [`arrive`] and
//! [`attributes`]; [`rows`] puts them in block order and finds repeated ones, with [`tree`] for the
//! inside of a trace; [`collected`] looks at the attributes of all scopes, and [`mod@promote`] decides which
//! keys get a column; [`fixed`] and [`lists`] build the columns that every block has, of [`entries`],
//! [`items`], [`spread`] and [`text`]; [`describe`] writes down what was made. [`counts`] knows which
//! attributes some spans have, for whoever makes the columns of several blocks without their spans.
//!
//! The result is the same for the same set of spans, in whatever order and groups they came.

mod arrive;
mod attributes;
mod collected;
mod counts;
mod describe;
mod entries;
mod fixed;
mod from_model;
mod from_wire;
mod items;
mod lists;
mod options;
mod promote;
mod rows;
mod spread;
mod text;
mod tree;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use rayon::prelude::*;

use arrive::Arrived;
use collected::Collected;
pub(crate) use counts::AttributeCounts;
pub(crate) use describe::{MAX_SERVICES, attributes as describe_attributes};
pub(crate) use entries::EntryBuilder;
pub use options::EncodeOptions;
pub(crate) use promote::{Promoted, promote};
use rows::Rows;
pub(crate) use text::mostly_distinct;

use crate::block::memory::MemoryBlock;
use crate::block::receipt::Receipt;
use crate::error::StorageError;
use crate::model::SpanGroup;
use crate::otlp::PlainRequest;
use crate::schema::{fixed_fields, list_fields};

/// Encodes spans as one block in memory. Uses the current rayon pool; the cost is about 1 µs of one
/// core a span.
///
/// # Errors
///
/// If there are no spans, or more than one block can hold.
pub fn encode<'a>(
    groups: impl IntoIterator<Item = &'a SpanGroup>,
    options: &EncodeOptions,
) -> Result<MemoryBlock, StorageError> {
    let groups: Vec<&SpanGroup> = groups.into_iter().collect();
    let span_count = groups.iter().map(|group| group.spans.len()).sum();
    encode_arriving(options, span_count, |out, skip| {
        groups
            .iter()
            .try_for_each(|group| from_model::add_group(group, &[], out, &mut *skip))
    })
}

/// As [`encode()`], of spans with their receipts, in the same order.
///
/// # Errors
///
/// As [`encode()`].
pub(crate) fn encode_received(
    groups: &[(SpanGroup, Vec<Receipt>)],
    options: &EncodeOptions,
) -> Result<MemoryBlock, StorageError> {
    let span_count = groups.iter().map(|(group, _)| group.spans.len()).sum();
    encode_arriving(options, span_count, |out, skip| {
        groups.iter().try_for_each(|(group, receipts)| {
            from_model::add_group(group, receipts, out, &mut *skip)
        })
    })
}

/// As [`encode()`], of the spans of requests, all of them later by `offset_ns`.
///
/// # Errors
///
/// As [`encode()`].
pub fn encode_requests<'a>(
    requests: impl IntoIterator<Item = &'a PlainRequest>,
    offset_ns: i64,
    options: &EncodeOptions,
) -> Result<MemoryBlock, StorageError> {
    let requests: Vec<&PlainRequest> = requests.into_iter().collect();
    let span_count = requests.iter().map(|request| request.span_count()).sum();
    encode_arriving(options, span_count, |out, skip| {
        requests
            .iter()
            .try_for_each(|request| from_wire::add_request(request, offset_ns, out, &mut *skip))
    })
}

/// Encodes the spans that `add` adds. It may be called twice, and must do the same then, but for the
/// spans to be skipped.
fn encode_arriving<'a>(
    options: &EncodeOptions,
    span_count: usize,
    add: impl Fn(&mut Arrived<'a>, &mut dyn FnMut() -> bool) -> Result<(), StorageError>,
) -> Result<MemoryBlock, StorageError> {
    let mut arrived = Arrived::with_capacity(span_count);
    add(&mut arrived, &mut || false)?;
    if arrived.spans.is_empty() {
        return Err(StorageError::EmptyBlock);
    }
    let (mut rows, repeated) = rows::order(&arrived);
    if !repeated.is_empty() {
        // Senders repeat themselves rarely, so finding out late costs less than looking out for it.
        arrived = Arrived::with_capacity(span_count);
        let mut number = 0u32;
        add(&mut arrived, &mut || {
            number += 1;
            repeated.contains(&(number - 1))
        })?;
        (rows, _) = rows::order(&arrived);
    }
    columns_of(&arrived, &rows, options)
}

fn columns_of(
    arrived: &Arrived<'_>,
    rows: &Rows,
    options: &EncodeOptions,
) -> Result<MemoryBlock, StorageError> {
    let collected = Collected::new(rows, arrived);
    let promoted = collected.promote();
    let (fixed, (promoted_arrays, lists)) = rayon::join(
        || fixed::columns(rows, arrived),
        || {
            rayon::join(
                || {
                    promoted
                        .par_iter()
                        .map(|p| collected.column(p, rows))
                        .collect::<Result<Vec<_>, _>>()
                },
                || lists::columns(rows, arrived, &collected, &promoted),
            )
        },
    );

    let mut fields = fixed_fields();
    let mut arrays: Vec<ArrayRef> = fixed?;
    for (promoted, array) in promoted.iter().zip(promoted_arrays?) {
        fields.push(Field::new(
            &promoted.column,
            array.data_type().clone(),
            true,
        ));
        arrays.push(array);
    }
    fields.extend(list_fields());
    arrays.extend(lists?);
    let schema = Arc::new(Schema::new(fields));
    let whole = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| StorageError::arrow("assembling a block", error))?;

    let meta = describe::describe(rows, &collected, &promoted, &schema, options);
    let step = options.batch_rows.max(1);
    let batches = (0..whole.num_rows())
        .step_by(step)
        .map(|start| whole.slice(start, step.min(whole.num_rows() - start)))
        .collect();
    Ok(MemoryBlock {
        meta: Arc::new(meta),
        schema,
        batches,
    })
}
