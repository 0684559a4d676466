//! Blocks: how spans are laid out, written, read and checked.
//!
//! [`meta`] says what is known of a block from outside, [`encode()`] makes the columns, [`writer`] the
//! file, [`publish`] stores it, [`reader`] reads it again, [`decode()`] makes spans of it, [`trace`]
//! and [`traces`] find those of one or some traces, [`values`] finds what an attribute says, and
//! [`mod@verify`] checks it from end to end.

mod cache;
mod chunk;
mod column_batches;
pub mod decode;
pub mod encode;
pub mod encoded;
mod encodings;
mod entries;
pub mod footer;
mod groups;
mod hybrid;
pub mod memory;
pub mod meta;
mod page_window;
mod pages;
pub mod publish;
pub mod reader;
mod some_rows;
pub mod trace;
mod trace_filter;
mod trace_rows;
pub mod traces;
pub mod values;
pub mod verify;
pub mod writer;

pub use cache::{BlockCache, ReadCounters};
pub use column_batches::ColumnBatches;
pub use decode::{decode, decode_batches};
pub use encode::{EncodeOptions, encode, encode_requests};
pub use entries::{Entries, EntryValue};
pub use memory::MemoryBlock;
pub use publish::{ReadBack, store_block};
pub use reader::{BlockFile, read_block};
pub use trace::{TraceSpans, live_trace, read_trace};
pub use traces::{live_trace_ids, live_traces, read_columns, read_trace_ids, read_traces};
pub use values::{Value, ValueLimits, ValueSet, ValueSource, live_values, read_values};
pub use verify::{BlockReport, ColumnReport, VerifyReport, inspect_parquet, verify, verify_bare};
pub use writer::{EncodedBlock, WriteOptions, write_parquet};

/// Bytes as base64 text in JSON.
pub(crate) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(input)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}
