//! Columns as they are encoded: values once, and for each row which of them it has.
//!
//! What a query does with a value it can do once per distinct value of a row group instead of once
//! per row, if it gets to see the dictionary and the codes. Reading order: [`bits`](crate::block::bits) and [`row_codes`]
//! (what is made of the codes of a [`hybrid`](crate::block::hybrid)), [`page`] (which code a row has), [`values`]
//! (how Parquet stores values), [`chunk`] and [`shared`] (what readers share), [`mod@column`] (a column,
//! page by page).

mod chunk;
mod column;
mod decode;
mod page;
mod row_codes;
mod shared;
mod values;

pub use crate::block::bits::Bits;
pub(crate) use chunk::ColumnChunk;
pub use column::{EncodedColumn, can_read};
pub use row_codes::{Coded, RowCodes};
