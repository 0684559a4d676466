//! Spans to Arrow: the one place where the layout of a block is made.
//!
//! Steps, one module each: [`rows`] puts spans in block order and drops repeated ones, with
//! [`tree`] for the inside of a trace and [`hash`] to recognise repetition; [`attributes`] collects
//! what keys and types occur; [`promote`] decides which get a column; [`columns`], [`entries`],
//! [`items`] and [`text`] build arrays; [`describe`] writes down what was made.
//!
//! The result is the same for the same set of spans, in whatever order and groups they came.

mod attributes;
mod columns;
mod describe;
mod entries;
pub(crate) mod hash;
mod items;
mod promote;
mod rows;
pub(crate) mod text;
mod tree;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use rayon::prelude::*;

pub use attributes::value_type;

use crate::block::memory::MemoryBlock;
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId};
use crate::model::SpanGroup;
use crate::schema::{fixed_fields, list_fields};

/// What [`encode`] needs to know besides the spans.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// Id of the block.
    pub block_id: BlockId,
    /// Rows per record batch. Batches are slices of one allocation and share dictionaries.
    pub batch_rows: usize,
}

impl EncodeOptions {
    /// Options with the usual batch size.
    #[must_use]
    pub fn new(tenant: TenantId, block_id: BlockId) -> Self {
        Self {
            tenant,
            block_id,
            batch_rows: 65_536,
        }
    }
}

/// Encodes spans as one block in memory. Uses the current rayon pool; the cost is about 1–3 µs of
/// one core a span.
///
/// # Errors
///
/// If there are no spans, or more than one block can hold.
pub fn encode<'a>(
    groups: impl IntoIterator<Item = &'a SpanGroup>,
    options: &EncodeOptions,
) -> Result<MemoryBlock, StorageError> {
    let rows = rows::order(groups)?;
    let collected = columns::Collected::new(&rows);
    let promoted = collected.promote();
    let (fixed, (promoted_arrays, lists)) = rayon::join(
        || columns::fixed(&rows),
        || {
            rayon::join(
                || {
                    promoted
                        .par_iter()
                        .map(|p| collected.column(p, &rows))
                        .collect::<Result<Vec<_>, _>>()
                },
                || columns::lists(&rows, &collected, &promoted),
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

    let meta = describe::describe(&rows, &collected, &promoted, &schema, options);
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

/// A row number, or a count of at most as many things as there are rows. The number of rows is
/// checked where they come in, so nothing here is ever cut off.
fn row_number(number: usize) -> u32 {
    debug_assert!(
        u32::try_from(number).is_ok(),
        "more rows than a block can have"
    );
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// As [`row_number`], for dictionary keys.
fn row_i32(number: usize) -> i32 {
    debug_assert!(
        i32::try_from(number).is_ok(),
        "more rows than a block can have"
    );
    i32::try_from(number).unwrap_or(i32::MAX)
}
