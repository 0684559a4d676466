//! Columns as they are encoded: values once, and for each row which of them it has.
//!
//! What a query does with a value it can do once per distinct value of a row group instead of once
//! per row, if it gets to see the dictionary and the codes. Reading order: [`values`] (how Parquet
//! stores values), [`mod@column`] (a column chunk, page by page); codes are a [`hybrid`](super::hybrid).

mod column;
mod values;

pub use column::{EncodedColumn, can_read};
