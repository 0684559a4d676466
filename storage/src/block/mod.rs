//! Blocks: how spans are laid out, written, read and checked.
//!
//! What writing and reading share comes first: [`meta`] says what is known of a block from outside,
//! [`footer`] what its file says of itself; [`memory`] is a block in memory, [`trace_filter`] says which
//! traces may be in one, [`hash`] tells repeated spans from different ones, and [`hybrid`] and [`bits`]
//! are how numbers of few bits are kept. [`write`](mod@write) makes columns of spans and a file of
//! columns, and stores it; [`read`] finds in a block what is asked for.

mod bits;
pub mod footer;
pub(crate) mod hash;
mod hybrid;
mod memory;
pub mod meta;
mod read;
mod receipt;
mod trace_filter;
mod write;

pub use memory::MemoryBlock;
pub use read::cache::{BlockCache, ReadCounters};
pub use read::column_batches::ColumnBatches;
pub(crate) use read::decode::{Decoder, is_derived};
pub use read::decode::{decode, decode_batches};
pub use read::encoded;
pub use read::entries::{Entries, EntryValue};
pub use read::few_rows::{live_rows, live_traces_of_rows, read_rows, traces_of_rows};
pub use read::file::BlockFile;
pub(crate) use read::groups::Groups;
pub use read::inspect::{BlockReport, ColumnReport, inspect_parquet};
pub(crate) use read::rows::read as read_batches;
pub use read::trace_by_id::{live_trace, read_trace};
pub(crate) use read::trace_index::TraceIndex;
pub use read::trace_spans::TraceSpans;
pub use read::traces::{live_trace_ids, live_traces, read_columns, read_trace_ids, read_traces};
pub use read::values::{Value, ValueLimits, ValueSet, ValueSource, live_values, read_values};
pub use read::verify::{VerifyReport, verify, verify_bare};
pub use read::whole_block::read_block;
pub(crate) use receipt::Receipt;
pub use trace_filter::TraceIdFilter;
pub(crate) use write::column_chunks::{ColumnWriter, EncodedChunk};
pub(crate) use write::encode::{
    AttributeCounts, EntryBuilder, MAX_SERVICES, Promoted, describe_attributes, encode_received,
    mostly_distinct, promote,
};
pub use write::encode::{EncodeOptions, encode, encode_requests};
pub use write::file::{EncodedBlock, write_parquet};
pub(crate) use write::file_writer::FileWriter;
pub use write::options::WriteOptions;
pub(crate) use write::publish::BlockUpload;
pub use write::publish::{ReadBack, store_block};
pub(crate) use write::upload::Upload;
