//! Files of recorded spans to blocks, without the write-ahead log.
//!
//! ```text
//! read → decompress → decode ──(one batch)──▶ encode → write → store → commit
//! ```
//!
//! The two halves run at the same time; a batch becomes a block, and a block is either in the
//! catalog or does not exist. Memory holds two batches at most: one being filled and one being
//! encoded.

mod cancel;
mod json_lines;
mod pipeline;
mod progress;
mod report;
mod shift;
mod source;
mod source_error;

pub use cancel::Cancel;
pub use pipeline::{Destination, load};
pub use progress::Progress;
pub use report::{LoadError, LoadReport};
pub use shift::Shift;
pub use source::Source;
pub use source_error::SourceError;
