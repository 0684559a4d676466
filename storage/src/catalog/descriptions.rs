//! Descriptions of blocks as bytes: what the parts of a catalog are, and the newest in its root.
//!
//! Protobuf messages under zstd. What descriptions have in common is written once: texts (names of
//! columns, keys of attributes, services) stand in one list, and descriptions have numbers for them.
//! The messages are in `docs/format/catalog-v2.md`.

use std::sync::Arc;

use prost::Message as _;

use super::messages::{Description, Descriptions};
use super::texts::Texts;
use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::TenantId;

/// Version of the encoding that this build writes, and the newest that it reads.
const ENCODING_VERSION: u32 = 1;
/// Compression level of zstd.
const ZSTD_LEVEL: i32 = 3;
/// What a part may come to at most once it is decompressed. Parts have some 1,000 descriptions of a
/// few KiB; a frame that says more is not one of ours.
const MAX_BYTES: usize = 1 << 30;

/// Writes descriptions of blocks of one tenant, in their order.
///
/// # Errors
///
/// If zstd fails, which would be a defect; or a block has no file.
pub(super) fn encode(blocks: &[Arc<BlockMeta>]) -> Result<Vec<u8>, StorageError> {
    let mut texts = Texts::default();
    let blocks: Result<Vec<Description>, StorageError> = blocks
        .iter()
        .map(|block| Description::of(block, &mut texts))
        .collect();
    let message = Descriptions {
        encoding_version: ENCODING_VERSION,
        blocks: blocks?,
        texts: texts.into_listed(),
    };
    zstd::bulk::compress(&message.encode_to_vec(), ZSTD_LEVEL)
        .map_err(|error| StorageError::Internal(format!("cannot compress descriptions: {error}")))
}

/// Reads what [`encode`] wrote of a tenant's blocks. `object` is where the bytes are from.
///
/// # Errors
///
/// If the bytes are damaged, or of a newer version.
pub(super) fn decode(
    object: &str,
    tenant: &TenantId,
    bytes: &[u8],
) -> Result<Vec<Arc<BlockMeta>>, StorageError> {
    let damaged = |observed: String| StorageError::Corrupt {
        object: object.to_owned(),
        what: "descriptions of blocks".to_owned(),
        expected: "protobuf under zstd".to_owned(),
        observed,
    };
    let size = zstd::bulk::Decompressor::upper_bound(bytes).unwrap_or(MAX_BYTES);
    if size > MAX_BYTES {
        return Err(damaged(format!("a frame of {size} bytes")));
    }
    let bytes = zstd::bulk::decompress(bytes, size).map_err(|error| damaged(error.to_string()))?;
    let message = Descriptions::decode(&*bytes).map_err(|error| damaged(error.to_string()))?;
    if message.encoding_version > ENCODING_VERSION {
        return Err(StorageError::NewerFormat {
            object: object.to_owned(),
            found: message.encoding_version,
            supported: ENCODING_VERSION,
        });
    }
    let texts: Vec<Arc<str>> = message
        .texts
        .iter()
        .map(|text| Arc::from(&**text))
        .collect();
    let read = |description: Description| {
        description
            .meta(tenant, &texts)
            .map(Arc::new)
            .ok_or_else(|| damaged("a description that does not hold together".to_owned()))
    };
    message.blocks.into_iter().map(read).collect()
}
