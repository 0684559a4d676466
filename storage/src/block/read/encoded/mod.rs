//! Columns as they are encoded: values once, and for each row which of them it has.
//!
//! What a query does with a value it can do once per distinct value of a row group instead of once
//! per row, if it gets to see the dictionary and the codes. Reading order: [`row_codes`] (the codes of some
//! rows), [`page`] (which code each row of a page has), [`peaks`] (its largest numbers), [`values`] (how Parquet stores values), [`decode`]
//! (pages to codes and values), [`chunk`] and [`shared`] (what readers share), [`mod@column`] (a column, page
//! by page).

mod chunk;
mod column;
mod decode;
mod page;
mod peaks;
mod row_codes;
mod shared;
mod values;

pub use crate::block::bits::Bits;
pub(crate) use chunk::ColumnChunk;
pub use chunk::page_bounds;
pub use column::{EncodedColumn, can_read};
pub use peaks::Peak;
pub use row_codes::{Coded, RowCodes};
