//! Spans to the file of a block, and the file to the store.
//!
//! [`encode`](mod@encode) makes the columns of a block in memory, [`file`](mod@file) the bytes of its
//! file, column chunk by column chunk ([`chunk`], [`encodings`]), and [`publish`] stores them.

mod chunk;
pub(super) mod encode;
mod encodings;
pub(super) mod file;
pub(super) mod publish;
