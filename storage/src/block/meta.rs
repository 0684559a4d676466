//! What is known of a block without opening it.
//!
//! The catalog carries one [`BlockMeta`] per block, and `meta.json` beside the block repeats it, so
//! that planning, pruning and splitting need no request for the block itself.

use serde::{Deserialize, Serialize};

use crate::ids::{BlockId, TenantId};

/// Version of the block format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// What is known of a block without opening it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// Version of the format, at most [`FORMAT_VERSION`] for a block that this build can read.
    pub format_version: u32,
    /// The block's id, also the name of its folder.
    pub block_id: BlockId,
    /// Whose spans these are.
    pub tenant: TenantId,
    /// Spans in the block.
    pub row_count: u64,
    /// Distinct trace ids in the block.
    pub trace_count: u64,
    /// Earliest span start, ns since the epoch.
    pub min_start_ns: i64,
    /// Latest span start, ns since the epoch.
    pub max_start_ns: i64,
    /// Latest span end, ns since the epoch.
    pub max_end_ns: i64,
    /// The Parquet file. `None` for a block that lives in memory.
    pub file: Option<FileMeta>,
    /// Row groups, in file order. A row group never cuts a trace in two.
    pub row_groups: Vec<RowGroupMeta>,
    /// Top-level columns, in file order: their index here is their root index in the Parquet schema.
    pub columns: Vec<ColumnMeta>,
    /// Attribute keys that occur in the block, ordered by scope and key.
    pub attributes: Vec<AttributeMeta>,
    /// Whether `attributes` names every key. Where it does not, any key that it lacks may be in the
    /// residual column of its scope, or in events and links; every attribute column is named always.
    pub attributes_complete: bool,
    /// Distinct values of `resource.service.name`, ordered; the empty string where it is missing.
    /// `None` where there are too many to list.
    pub services: Option<Vec<String>>,
    /// Which trace ids may be in the block.
    pub trace_ids: TraceIdFilter,
}

impl BlockMeta {
    /// What is known of an attribute key; `None` if the key is not listed, which means that it does not
    /// occur only where [`attributes_complete`](Self::attributes_complete) says so.
    #[must_use]
    pub fn attribute(&self, scope: AttributeScope, key: &str) -> Option<&AttributeMeta> {
        let place = |listed: &AttributeMeta| (listed.scope, listed.key.as_str()).cmp(&(scope, key));
        let found = self.attributes.binary_search_by(place).ok()?;
        self.attributes.get(found)
    }
}

/// The Parquet file of a block, and how to tell that it is unharmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileMeta {
    /// Length of the file.
    pub size_bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Offset of the footer region: page indexes, file metadata, and the trailing magic.
    pub footer_offset: u64,
    /// CRC-32C of the footer region. Checksums of the column chunks stand inside it.
    pub footer_crc32c: u32,
}

/// One row group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowGroupMeta {
    /// Spans in the row group.
    pub row_count: u64,
    /// Earliest span start, ns since the epoch.
    pub min_start_ns: i64,
    /// Latest span start, ns since the epoch.
    pub max_start_ns: i64,
}

/// One top-level column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnMeta {
    /// The column's name.
    pub name: String,
    /// Compressed bytes of the column, one number per row group; empty for a block in memory.
    pub compressed_bytes: Vec<u64>,
}

/// One attribute key of one scope, over the whole block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeMeta {
    /// Where the key stands.
    pub scope: AttributeScope,
    /// The key.
    pub key: String,
    /// The types its values have in this block, most frequent first; never empty.
    pub types: Vec<AttributeTypeMeta>,
}

/// The values of one type of one attribute key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeTypeMeta {
    /// The type.
    pub value_type: ValueType,
    /// The typed column that holds **all** values of this type. `None`: they are in the residual
    /// column of the scope. Only the four scalar types ever have a column.
    pub column: Option<String>,
    /// How many spans (for event and link attributes: events and links) carry such a value. Where
    /// a key stands twice in one list only the first counts.
    pub count: u64,
}

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeScope {
    /// On the resource.
    Resource,
    /// On the instrumentation scope.
    Instrumentation,
    /// On the span.
    Span,
    /// On an event of the span.
    Event,
    /// On a link of the span.
    Link,
}

/// The type of an attribute value, as far as queries tell types apart.
///
/// An array of one element counts as the scalar it holds for TraceQL, but keeps its own type here,
/// because it must come back as an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Text.
    String,
    /// 64-bit integer.
    Int,
    /// 64-bit float.
    Double,
    /// Boolean.
    Bool,
    /// Non-empty array of texts only.
    StringArray,
    /// Non-empty array of integers only.
    IntArray,
    /// Non-empty array of floats only.
    DoubleArray,
    /// Non-empty array of booleans only.
    BoolArray,
    /// Anything else: bytes, key-value list, mixed, nested or empty array, no value.
    Other,
}

/// A split-block Bloom filter over trace ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceIdFilter {
    /// The filter's bits, base64 in JSON; empty for a block in memory, which may hold any trace.
    #[serde(with = "crate::block::base64_bytes")]
    pub bits: Vec<u8>,
}
