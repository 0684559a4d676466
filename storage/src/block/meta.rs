//! What is known of a block without opening it.
//!
//! The catalog carries one [`BlockMeta`] per block, so that planning, pruning and splitting need no
//! request for the block itself. The block's own file repeats it, but for what says where the file ends
//! and what it must be like.

use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::{BlockId, TenantId, TraceId};

/// Version of the block format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

const NS_PER_S: i64 = 1_000_000_000;
/// Pieces of trace ids go by another hash than the id filter, all of whose bits must still say
/// something inside a piece.
const PIECE_SEED: u64 = 1;

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
    pub services: Option<Vec<Arc<str>>>,
    /// The file that says which trace ids may be in the block. `None` for a block in memory, and for one
    /// whose `meta.json` has the filter, as version 0.1.0 wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id_filter: Option<FilterFile>,
    /// The blocks whose spans compaction has put into this one, as ingest or a load had cut them;
    /// ordered, and empty for such a block itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made_of: Vec<BlockId>,
    /// The traces that the block is for, if compaction has made it; a block that ingest or a load has
    /// cut may have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
}

/// Some of the traces of a tenant: those that start within a window and whose ids belong to a piece.
///
/// A trace starts where the earliest of its spans does that were known when the block was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The window of time.
    pub window: Window,
    /// The piece of the trace ids.
    pub piece: HashPiece,
}

/// A window of time: a multiple of its length since the epoch, and what is less than its length
/// later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Where it begins, seconds since the epoch.
    pub start_s: i64,
    /// How long it is, in seconds; at least 1.
    pub length_s: i64,
}

/// One of 2^`bits` pieces of all trace ids, by the upper bits of a hash of the id
/// ([`HashPiece::holds`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HashPiece {
    /// How many bits of the hash decide; 0 for a single piece of all ids, 16 at most.
    pub bits: u8,
    /// What these bits are.
    pub index: u32,
}

impl Window {
    /// The window of this length that a time, ns since the epoch, is in.
    #[must_use]
    pub const fn of(time_ns: i64, length_s: i64) -> Self {
        let seconds = time_ns.div_euclid(NS_PER_S);
        Self {
            start_s: seconds - seconds.rem_euclid(length_s),
            length_s,
        }
    }

    /// Whether a time, ns since the epoch, is in it.
    #[must_use]
    pub const fn holds(&self, time_ns: i64) -> bool {
        let seconds = time_ns.div_euclid(NS_PER_S);
        self.start_s <= seconds && seconds - self.start_s < self.length_s
    }
}

impl HashPiece {
    /// Whether an id may belong to both pieces: one of them is the other, or part of it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let bits = self.bits.min(other.bits);
        let upper = |piece: &Self| piece.index >> (piece.bits - bits);
        upper(self) == upper(other)
    }

    /// The piece of all ids.
    pub const ALL: Self = Self { bits: 0, index: 0 };

    /// The piece, one of 2^`bits`, that an id belongs to.
    #[must_use]
    pub fn of(id: TraceId, bits: u8) -> Self {
        let upper = u128::from(xxh3_64_with_seed(&id.0, PIECE_SEED)) << bits >> 64;
        Self {
            bits,
            index: u32::try_from(upper).unwrap_or(u32::MAX),
        }
    }

    /// Whether an id belongs to the piece: the upper `bits` bits of its XXH3-64 with seed 1 are `index`.
    #[must_use]
    pub fn holds(&self, id: TraceId) -> bool {
        Self::of(id, self.bits) == *self
    }
}

impl BlockMeta {
    /// Whether the block has spans at some of these times, ns since the epoch, as far as the times of the
    /// first start and the last end tell.
    #[must_use]
    pub fn is_at(&self, times: &RangeInclusive<i64>) -> bool {
        self.min_start_ns <= *times.end() && *times.start() <= self.end_ns()
    }

    /// When the last of the spans that are in the block has ended, ns since the epoch.
    #[must_use]
    pub fn end_ns(&self) -> i64 {
        self.max_end_ns.max(self.max_start_ns)
    }

    /// About how many bytes the description takes in memory, but for texts that it shares with others.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let types = self
            .attributes
            .iter()
            .map(|attribute| attribute.types.len());
        size_of::<Self>()
            + size_of_val(&*self.row_groups)
            + size_of_val(&*self.columns)
            + size_of_val(&*self.attributes)
            + types.sum::<usize>() * size_of::<AttributeTypeMeta>()
            + self
                .services
                .as_ref()
                .map_or(0, |services| size_of_val(&**services))
            + size_of_val(&*self.made_of)
            + self.file.as_ref().map_or(0, |file| file.sha256.len())
    }

    /// What is known of an attribute key; `None` if the key is not listed, which means that it does not
    /// occur only where [`attributes_complete`](Self::attributes_complete) says so.
    #[must_use]
    pub fn attribute(&self, scope: AttributeScope, key: &str) -> Option<&AttributeMeta> {
        let place = |listed: &AttributeMeta| (listed.scope, &*listed.key).cmp(&(scope, key));
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

/// The file of the trace id filter of a block, and how to tell that it is unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterFile {
    /// Length of the file.
    pub size_bytes: u64,
    /// CRC-32C of the file.
    pub crc32c: u32,
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
    pub name: Arc<str>,
    /// Compressed bytes of the column in all row groups together; 0 for a block in memory. Version
    /// 0.1.0 wrote a list with a number for each row group.
    #[serde(deserialize_with = "sum_or_list")]
    pub compressed_bytes: u64,
}

fn sum_or_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bytes {
        Sum(u64),
        List(Vec<u64>),
    }
    Ok(match Bytes::deserialize(deserializer)? {
        Bytes::Sum(sum) => sum,
        Bytes::List(list) => list.into_iter().fold(0, u64::saturating_add),
    })
}

/// One attribute key of one scope, over the whole block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeMeta {
    /// Where the key stands.
    pub scope: AttributeScope,
    /// The key.
    pub key: Arc<str>,
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
    pub column: Option<Arc<str>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_on_the_grid_of_their_length_before_the_epoch_too() {
        for (time_s, length_s, start_s) in
            [(7_199, 3_600, 3_600), (7_200, 3_600, 7_200), (-1, 60, -60)]
        {
            let window = Window::of(time_s * NS_PER_S, length_s);
            assert_eq!(window, Window { start_s, length_s });
            assert!(window.holds(time_s * NS_PER_S + NS_PER_S - 1));
            assert!(!window.holds(start_s * NS_PER_S - 1));
            assert!(!window.holds((start_s + length_s) * NS_PER_S));
        }
        assert!(Window::of(i64::MAX, 86_400).holds(i64::MAX));
        assert!(Window::of(i64::MIN, 86_400).holds(i64::MIN));
    }

    #[test]
    fn each_id_belongs_to_one_piece_and_pieces_split_in_two() {
        for number in 0..2_000u128 {
            let id = TraceId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            assert!(HashPiece::ALL.holds(id));
            let (coarse, fine) = (HashPiece::of(id, 3), HashPiece::of(id, 4));
            assert!(coarse.index < 8 && fine.index < 16 && fine.index / 2 == coarse.index);
            assert!(coarse.holds(id) && fine.holds(id));
            let other = HashPiece {
                index: fine.index ^ 1,
                ..fine
            };
            assert!(!other.holds(id));
            assert!(fine.overlaps(&coarse) && HashPiece::ALL.overlaps(&fine));
            assert!(!fine.overlaps(&other) && other.overlaps(&coarse));
        }
    }
}
