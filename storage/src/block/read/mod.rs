//! A block's file, and what is asked of it.
//!
//! [`file`](mod@file) checks every byte before it is used. On it stand three ways to read: [`encoded`]
//! gives columns as codes and values, [`rows`] some rows of a row group, [`few_rows`] a few that lie
//! apart, and [`column_batches`] a whole one. [`decode`] makes spans of rows again; [`trace_by_id`] and [`traces`] find those of one trace or
//! of many, [`values`] finds what an attribute says, and [`mod@verify`] checks a block from end to end.

pub(super) mod cache;
pub(super) mod column_batches;
pub(super) mod decode;
pub mod encoded;
pub(super) mod entries;
pub(super) mod few_rows;
pub(super) mod file;
mod filter;
pub(super) mod groups;
pub(super) mod inspect;
mod page_reader;
pub(super) mod rows;
pub(super) mod trace_by_id;
pub(super) mod trace_index;
pub(super) mod trace_spans;
pub(super) mod traces;
pub(super) mod values;
pub(super) mod verify;
pub(super) mod whole_block;
