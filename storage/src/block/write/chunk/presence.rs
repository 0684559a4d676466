//! Which rows of a row group have a value, whole or page by page.

use std::ops::Range;

use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BooleanBufferBuilder, PrimitiveArray,
};
use arrow::buffer::BooleanBuffer;

/// Which rows of a row group have a value.
pub(super) struct Presence {
    /// A bit for each row; `None` if every row has a value.
    pub(super) valid: Option<BooleanBuffer>,
    pub(super) row_count: usize,
    pub(super) value_count: usize,
}

/// Rows of one page.
pub(super) struct PageRows {
    /// A bit for each row; `None` if every row of the row group has a value.
    pub(super) valid: Option<BooleanBuffer>,
    pub(super) row_count: usize,
    /// Which of the row group's values are those of these rows.
    pub(super) values: Range<usize>,
}

impl Presence {
    pub(super) fn new(slices: &[ArrayRef]) -> Self {
        let row_count = slices.iter().map(|slice| slice.len()).sum();
        let nulls: usize = slices.iter().map(|slice| slice.null_count()).sum();
        let valid = (nulls > 0).then(|| {
            let mut valid = BooleanBufferBuilder::new(row_count);
            for slice in slices {
                match slice.nulls() {
                    Some(nulls) => valid.append_buffer(nulls.inner()),
                    None => valid.append_n(slice.len(), true),
                }
            }
            valid.finish()
        });
        Self {
            valid,
            row_count,
            value_count: row_count - nulls,
        }
    }

    /// The rows in pages of `page_rows` each.
    pub(super) fn pages(&self, page_rows: usize) -> impl Iterator<Item = PageRows> {
        let page_rows = page_rows.max(1);
        let mut next_value = 0;
        let starts = (0..self.row_count).step_by(page_rows);
        starts.map(move |start| {
            let row_count = page_rows.min(self.row_count - start);
            let valid = self.valid.as_ref();
            let valid = valid.map(|valid| valid.slice(start, row_count));
            let value_count = valid.as_ref().map(BooleanBuffer::count_set_bits);
            let values = next_value..next_value + value_count.unwrap_or(row_count);
            next_value = values.end;
            PageRows {
                valid,
                row_count,
                values,
            }
        })
    }
}

/// The values of an array that are not null.
pub(super) fn present<P: ArrowPrimitiveType>(
    array: &PrimitiveArray<P>,
) -> impl Iterator<Item = P::Native> {
    let (some, all) = match array.nulls() {
        Some(nulls) => (Some(nulls.valid_indices()), None),
        None => (None, Some(array.values().iter().copied())),
    };
    let some = some.into_iter().flatten();
    let some = some.map(|index| array.values()[index]);
    some.chain(all.into_iter().flatten())
}
