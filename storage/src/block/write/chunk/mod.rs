//! Column chunks that are written here rather than by the library, which has no say in these forms.
//!
//! [`coded`] and [`planes`] are the forms, of values as [`value`] stores them; [`writer`] makes pages of
//! either, for the rows that [`presence`] says have a value, each compressed by [`compressor`].

mod coded;
mod compressor;
mod planes;
mod presence;
mod value;
mod writer;

pub(super) use coded::dictionary;
pub(super) use planes::byte_planes;
pub(super) use value::STATISTICS_BYTES;
pub(super) use writer::{ChunkOptions, OwnChunk};

#[cfg(test)]
mod tests;
