//! The protobuf messages of descriptions, and what they say as a [`BlockMeta`].
//!
//! Numbers are written as what they are more than another where that is shorter: a block's times after
//! its first start, a row group's after its block's. Lists are columns: of attributes there is an entry
//! for each type of each key.

use std::sync::Arc;

use super::texts::Texts;
use crate::block::meta::{
    AttributeMeta, AttributeScope, AttributeTypeMeta, BlockMeta, ColumnMeta, FileMeta, FilterFile,
    HashPiece, Partition, RowGroupMeta, ValueType, Window,
};
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId};

/// Descriptions of blocks.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Descriptions {
    #[prost(uint32, tag = "1")]
    pub(super) encoding_version: u32,
    /// Texts that descriptions have numbers for.
    #[prost(string, repeated, tag = "2")]
    pub(super) texts: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(super) blocks: Vec<Description>,
}

/// Description of one block.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Description {
    #[prost(bytes = "vec", tag = "1")]
    block_id: Vec<u8>,
    #[prost(uint32, tag = "2")]
    format_version: u32,
    #[prost(uint64, tag = "3")]
    row_count: u64,
    #[prost(uint64, tag = "4")]
    trace_count: u64,
    #[prost(sint64, tag = "5")]
    min_start_ns: i64,
    /// After the first start.
    #[prost(sint64, tag = "6")]
    max_start_ns: i64,
    /// After the first start.
    #[prost(sint64, tag = "7")]
    max_end_ns: i64,
    #[prost(uint64, tag = "8")]
    file_bytes: u64,
    #[prost(bytes = "vec", tag = "9")]
    file_sha256: Vec<u8>,
    /// Bytes of the footer region.
    #[prost(uint64, tag = "10")]
    footer_bytes: u64,
    #[prost(fixed32, tag = "11")]
    footer_crc32c: u32,
    /// 0: there is no such file.
    #[prost(uint64, tag = "12")]
    filter_bytes: u64,
    #[prost(fixed32, tag = "13")]
    filter_crc32c: u32,
    #[prost(uint64, repeated, tag = "14")]
    row_group_rows: Vec<u64>,
    /// After the block's first start.
    #[prost(sint64, repeated, tag = "15")]
    row_group_min_start_ns: Vec<i64>,
    /// After the row group's own first start.
    #[prost(sint64, repeated, tag = "16")]
    row_group_max_start_ns: Vec<i64>,
    #[prost(uint32, repeated, tag = "17")]
    column_names: Vec<u32>,
    #[prost(uint64, repeated, tag = "18")]
    column_bytes: Vec<u64>,
    #[prost(uint32, repeated, tag = "19")]
    attribute_keys: Vec<u32>,
    #[prost(uint32, repeated, tag = "20")]
    attribute_scopes: Vec<u32>,
    #[prost(uint32, repeated, tag = "21")]
    attribute_types: Vec<u32>,
    /// One more than the number of the column's name; 0: there is no column.
    #[prost(uint32, repeated, tag = "22")]
    attribute_columns: Vec<u32>,
    #[prost(uint64, repeated, tag = "23")]
    attribute_counts: Vec<u64>,
    #[prost(bool, tag = "24")]
    attributes_complete: bool,
    /// Whether the services are listed.
    #[prost(bool, tag = "25")]
    services_complete: bool,
    #[prost(uint32, repeated, tag = "26")]
    services: Vec<u32>,
    /// Ids of blocks, 16 bytes each.
    #[prost(bytes = "vec", tag = "27")]
    made_of: Vec<u8>,
    #[prost(message, optional, tag = "28")]
    partition: Option<PartitionMessage>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PartitionMessage {
    #[prost(sint64, tag = "1")]
    window_start_s: i64,
    #[prost(sint64, tag = "2")]
    window_length_s: i64,
    #[prost(uint32, tag = "3")]
    piece_bits: u32,
    #[prost(uint32, tag = "4")]
    piece_index: u32,
}

impl Description {
    /// The description of a stored block.
    ///
    /// # Errors
    ///
    /// If the block is not stored.
    pub(super) fn of(meta: &BlockMeta, texts: &mut Texts) -> Result<Self, StorageError> {
        let wrong = || StorageError::Internal(format!("block is not stored: {}", meta.block_id));
        let file = meta.file.as_ref().ok_or_else(wrong)?;
        let after = |time_ns: i64| time_ns.wrapping_sub(meta.min_start_ns);
        let mut out = Self {
            block_id: meta.block_id.0.to_bytes().to_vec(),
            format_version: meta.format_version,
            row_count: meta.row_count,
            trace_count: meta.trace_count,
            min_start_ns: meta.min_start_ns,
            max_start_ns: after(meta.max_start_ns),
            max_end_ns: after(meta.max_end_ns),
            file_bytes: file.size_bytes,
            file_sha256: hex::decode(&file.sha256).map_err(|_| wrong())?,
            footer_bytes: file.size_bytes.saturating_sub(file.footer_offset),
            footer_crc32c: file.footer_crc32c,
            filter_bytes: meta.trace_id_filter.map_or(0, |filter| filter.size_bytes),
            filter_crc32c: meta.trace_id_filter.map_or(0, |filter| filter.crc32c),
            attributes_complete: meta.attributes_complete,
            services_complete: meta.services.is_some(),
            partition: meta.partition.map(PartitionMessage::of),
            ..Self::default()
        };
        for row_group in &meta.row_groups {
            out.row_group_rows.push(row_group.row_count);
            out.row_group_min_start_ns
                .push(after(row_group.min_start_ns));
            let length = row_group.max_start_ns.wrapping_sub(row_group.min_start_ns);
            out.row_group_max_start_ns.push(length);
        }
        for column in &meta.columns {
            out.column_names.push(texts.number(&column.name));
            out.column_bytes.push(column.compressed_bytes);
        }
        for attribute in &meta.attributes {
            for of_type in &attribute.types {
                out.attribute_keys.push(texts.number(&attribute.key));
                out.attribute_scopes.push(scope_number(attribute.scope));
                out.attribute_types.push(type_number(of_type.value_type));
                let column = of_type.column.as_ref().map(|column| texts.number(column));
                out.attribute_columns
                    .push(column.map_or(0, |number| number + 1));
                out.attribute_counts.push(of_type.count);
            }
        }
        let services = meta.services.iter().flatten();
        out.services = services.map(|service| texts.number(service)).collect();
        for block in &meta.made_of {
            out.made_of.extend(block.0.to_bytes());
        }
        Ok(out)
    }

    /// What the description says; `None` if it does not hold together.
    pub(super) fn meta(&self, tenant: &TenantId, texts: &[Arc<str>]) -> Option<BlockMeta> {
        let text = |number: u32| texts.get(usize::try_from(number).ok()?).map(Arc::clone);
        let after = |after_ns: i64| self.min_start_ns.wrapping_add(after_ns);
        let counts = [
            (self.row_group_rows.len(), self.row_group_min_start_ns.len()),
            (self.row_group_rows.len(), self.row_group_max_start_ns.len()),
            (self.column_names.len(), self.column_bytes.len()),
            (self.attribute_keys.len(), self.attribute_scopes.len()),
            (self.attribute_keys.len(), self.attribute_types.len()),
            (self.attribute_keys.len(), self.attribute_columns.len()),
            (self.attribute_keys.len(), self.attribute_counts.len()),
        ];
        if counts.iter().any(|(of_one, of_other)| of_one != of_other) {
            return None;
        }
        let starts = self
            .row_group_min_start_ns
            .iter()
            .map(|start| after(*start));
        let row_groups = self.row_group_rows.iter().zip(starts);
        let row_groups = row_groups.zip(&self.row_group_max_start_ns);
        let row_groups = row_groups.map(|((rows, min_start_ns), length)| RowGroupMeta {
            row_count: *rows,
            min_start_ns,
            max_start_ns: min_start_ns.wrapping_add(*length),
        });
        let columns = self.column_names.iter().zip(&self.column_bytes);
        let columns = columns.map(|(name, bytes)| {
            Some(ColumnMeta {
                name: text(*name)?,
                compressed_bytes: *bytes,
            })
        });
        let services = self.services.iter().map(|service| text(*service));
        Some(BlockMeta {
            format_version: self.format_version,
            block_id: block_id(&self.block_id)?,
            tenant: tenant.clone(),
            row_count: self.row_count,
            trace_count: self.trace_count,
            min_start_ns: self.min_start_ns,
            max_start_ns: after(self.max_start_ns),
            max_end_ns: after(self.max_end_ns),
            file: Some(FileMeta {
                size_bytes: self.file_bytes,
                sha256: hex::encode(&self.file_sha256),
                footer_offset: self.file_bytes.checked_sub(self.footer_bytes)?,
                footer_crc32c: self.footer_crc32c,
            }),
            row_groups: row_groups.collect(),
            columns: columns.collect::<Option<_>>()?,
            attributes: self.attributes(&text)?,
            attributes_complete: self.attributes_complete,
            services: if self.services_complete {
                Some(services.collect::<Option<_>>()?)
            } else {
                None
            },
            trace_id_filter: (self.filter_bytes > 0).then_some(FilterFile {
                size_bytes: self.filter_bytes,
                crc32c: self.filter_crc32c,
            }),
            made_of: self
                .made_of
                .chunks(16)
                .map(block_id)
                .collect::<Option<_>>()?,
            partition: match &self.partition {
                Some(partition) => Some(partition.partition()?),
                None => None,
            },
        })
    }

    fn attributes(&self, text: &impl Fn(u32) -> Option<Arc<str>>) -> Option<Vec<AttributeMeta>> {
        let mut out: Vec<AttributeMeta> = Vec::new();
        let mut last = None;
        for (index, key) in self.attribute_keys.iter().enumerate() {
            let scope = *self.attribute_scopes.get(index)?;
            if last != Some((scope, key)) {
                last = Some((scope, key));
                out.push(AttributeMeta {
                    scope: scope_of(scope)?,
                    key: text(*key)?,
                    types: Vec::new(),
                });
            }
            let column = match self.attribute_columns.get(index)?.checked_sub(1) {
                Some(column) => Some(text(column)?),
                None => None,
            };
            out.last_mut()?.types.push(AttributeTypeMeta {
                value_type: type_of(*self.attribute_types.get(index)?)?,
                column,
                count: *self.attribute_counts.get(index)?,
            });
        }
        Some(out)
    }
}

impl PartitionMessage {
    fn of(partition: Partition) -> Self {
        Self {
            window_start_s: partition.window.start_s,
            window_length_s: partition.window.length_s,
            piece_bits: u32::from(partition.piece.bits),
            piece_index: partition.piece.index,
        }
    }

    fn partition(&self) -> Option<Partition> {
        Some(Partition {
            window: Window {
                start_s: self.window_start_s,
                length_s: self.window_length_s,
            },
            piece: HashPiece {
                bits: u8::try_from(self.piece_bits).ok()?,
                index: self.piece_index,
            },
        })
    }
}

fn block_id(bytes: &[u8]) -> Option<BlockId> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    Some(BlockId(ulid::Ulid::from_bytes(bytes)))
}

/// Scopes by their numbers in stored descriptions.
const SCOPES: [AttributeScope; 5] = [
    AttributeScope::Resource,
    AttributeScope::Instrumentation,
    AttributeScope::Span,
    AttributeScope::Event,
    AttributeScope::Link,
];

/// Types by their numbers in stored descriptions.
const TYPES: [ValueType; 9] = [
    ValueType::String,
    ValueType::Int,
    ValueType::Double,
    ValueType::Bool,
    ValueType::StringArray,
    ValueType::IntArray,
    ValueType::DoubleArray,
    ValueType::BoolArray,
    ValueType::Other,
];

fn scope_number(scope: AttributeScope) -> u32 {
    number(&SCOPES, scope)
}

fn scope_of(number: u32) -> Option<AttributeScope> {
    SCOPES.get(usize::try_from(number).ok()?).copied()
}

fn type_number(value_type: ValueType) -> u32 {
    number(&TYPES, value_type)
}

fn type_of(number: u32) -> Option<ValueType> {
    TYPES.get(usize::try_from(number).ok()?).copied()
}

fn number<T: PartialEq + Copy>(all: &[T], wanted: T) -> u32 {
    let at = all.iter().position(|one| *one == wanted);
    at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
}
