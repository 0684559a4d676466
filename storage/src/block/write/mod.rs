//! Spans to the file of a block, and the file to the store.
//!
//! [`encode`](mod@encode) makes the columns of a block in memory. [`file`](mod@file) makes its file: rows
//! are cut into [`row_groups`], whose columns become [`column_chunks`] of the form that [`encodings`]
//! chooses, most of them by [`chunk`]. [`file_writer`] puts them one behind the other, by way of
//! [`output`]. [`publish`] stores the file, by [`upload`].

mod chunk;
pub(super) mod column_chunks;
pub(super) mod encode;
mod encodings;
pub(super) mod file;
pub(super) mod file_writer;
pub(super) mod options;
mod output;
pub(super) mod publish;
mod row_groups;
mod row_number;
pub(super) mod upload;
