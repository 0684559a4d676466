//! One stored version of a catalog: its root.
//!
//! An object of two lines: a head with the version of the format and the SHA-256 of the second line,
//! and the root as JSON. So damage is found before anything is believed, and the format version is
//! readable even where the rest is not. Format 1, which version 0.1.0 wrote, is read as well: all of
//! its descriptions are recent ones of a root without parts.

use std::ops::RangeInclusive;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::descriptions;
use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::{BlockId, EditId, PartId, TenantId};

/// Version of the format of catalogs that this build writes, and the newest that it reads.
pub const CATALOG_FORMAT_VERSION: u32 = 2;

/// One version of the catalog of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// Whose blocks these are.
    pub tenant: TenantId,
    /// Version of the catalog, from 1; 0 for the catalog that was never committed to.
    pub version: u64,
    /// Oldest version that may still be in the store.
    pub oldest_version: u64,
    /// Made up by the writer for this one commit, so that it knows its own commit again. A ULID; its
    /// time is when the commit was made, by the writer's clock.
    pub writer_nonce: String,
    /// Parts, by time. Each live block is in one of them or among the recent ones.
    pub parts: Vec<PartRef>,
    /// Descriptions that are in no part yet, ordered by block id.
    pub recent: Vec<Arc<BlockMeta>>,
    /// What the latest edits took out, oldest first.
    pub removed: Vec<Removed>,
    /// Ids of the latest edits, oldest first.
    pub edits: Vec<EditId>,
}

/// What a root says of a part: where it is, and of which blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRef {
    /// Id of the part, and name of its object.
    pub id: PartId,
    /// Length of the object.
    pub size_bytes: u64,
    /// CRC-32C of the object.
    pub crc32c: u32,
    /// Blocks that it describes.
    pub block_count: u64,
    /// Spans in these blocks.
    pub span_count: u64,
    /// Bytes of these blocks' files.
    pub block_bytes: u64,
    /// The least of the blocks' latest span starts, ns since the epoch. By these, blocks are shared out
    /// to parts: no two parts overlap in them.
    pub first_ns: i64,
    /// The greatest of the blocks' latest span starts, ns since the epoch.
    pub last_ns: i64,
    /// Earliest span start, ns since the epoch.
    pub min_start_ns: i64,
    /// Latest span end, ns since the epoch.
    pub max_end_ns: i64,
}

/// What one edit took out of the catalog. Its objects are still there for readers of older versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The first version that no longer has it.
    pub version: u64,
    /// When, in ms since the epoch, by the clock of whoever committed it.
    pub at_ms: u64,
    /// Blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<BlockId>,
    /// Parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartId>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    spandrel_manifest: u32,
    sha256: String,
}

/// The second line of a root.
#[derive(Serialize, Deserialize)]
struct Body {
    tenant: TenantId,
    version: u64,
    oldest_version: u64,
    writer_nonce: String,
    parts: Vec<PartRef>,
    /// The recent descriptions, as those of a part, in base64.
    recent: String,
    removed: Vec<Removed>,
    edits: Vec<EditId>,
}

/// The second line of a manifest of format 1.
#[derive(Deserialize)]
struct BodyV1 {
    tenant: TenantId,
    version: u64,
    oldest_version: u64,
    writer_nonce: String,
    blocks: Vec<Arc<BlockMeta>>,
}

impl Root {
    /// The catalog that was never committed to.
    #[must_use]
    pub fn empty(tenant: TenantId) -> Self {
        Self {
            tenant,
            version: 0,
            oldest_version: 1,
            writer_nonce: String::new(),
            parts: Vec::new(),
            recent: Vec::new(),
            removed: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// How many blocks are live.
    #[must_use]
    pub fn block_count(&self) -> u64 {
        let in_parts: u64 = self.parts.iter().map(|part| part.block_count).sum();
        in_parts + self.recent.len() as u64
    }

    /// Bytes of the live blocks' files.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        let in_parts: u64 = self.parts.iter().map(|part| part.block_bytes).sum();
        let recent = self.recent.iter().filter_map(|block| block.file.as_ref());
        in_parts + recent.map(|file| file.size_bytes).sum::<u64>()
    }

    /// The start of the earliest span and that of the latest, ns since the epoch; `None` if there are no
    /// blocks.
    #[must_use]
    pub fn starts(&self) -> Option<RangeInclusive<i64>> {
        let in_parts = self
            .parts
            .iter()
            .map(|part| (part.min_start_ns, part.last_ns));
        let recent = self.recent.iter();
        let recent = recent.map(|block| (block.min_start_ns, block.max_start_ns));
        let both = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        let (first, last) = in_parts.chain(recent).reduce(both)?;
        Some(first..=last)
    }

    /// Parts with blocks that have spans at some of these times, ns since the epoch.
    pub(super) fn parts_at(&self, times: &RangeInclusive<i64>) -> impl Iterator<Item = &PartRef> {
        let (start, end) = (*times.start(), *times.end());
        let touches = move |part: &&PartRef| part.min_start_ns <= end && start <= part.max_end_ns;
        self.parts.iter().filter(touches)
    }

    /// The bytes to store.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON, which would be a defect.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StorageError> {
        let internal = |error: serde_json::Error| StorageError::Internal(error.to_string());
        let body = Body {
            tenant: self.tenant.clone(),
            version: self.version,
            oldest_version: self.oldest_version,
            writer_nonce: self.writer_nonce.clone(),
            parts: self.parts.clone(),
            recent: BASE64.encode(descriptions::encode(&self.recent)?),
            removed: self.removed.clone(),
            edits: self.edits.clone(),
        };
        let body = serde_json::to_vec(&body).map_err(internal)?;
        let head = Head {
            spandrel_manifest: CATALOG_FORMAT_VERSION,
            sha256: digest(&body),
        };
        let mut out = serde_json::to_vec(&head).map_err(internal)?;
        out.push(b'\n');
        out.extend_from_slice(&body);
        out.push(b'\n');
        Ok(out)
    }

    /// Reads stored bytes. Anything but exactly what was written is an error.
    ///
    /// # Errors
    ///
    /// If the bytes are damaged, or of a newer format.
    pub fn from_bytes(object: &str, bytes: &[u8]) -> Result<Self, StorageError> {
        let corrupt = |what: &str, observed: String, expected: &str| StorageError::Corrupt {
            object: object.to_owned(),
            what: what.to_owned(),
            expected: expected.to_owned(),
            observed,
        };
        let shape = || {
            corrupt(
                "manifest",
                format!("{} bytes of another shape", bytes.len()),
                "two lines",
            )
        };
        let at = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(shape)?;
        let (head, body) = bytes.split_at(at);
        let body = body
            .strip_prefix(b"\n")
            .and_then(|b| b.strip_suffix(b"\n"))
            .ok_or_else(shape)?;
        let head: Head = serde_json::from_slice(head)
            .map_err(|error| corrupt("manifest head", error.to_string(), "JSON"))?;
        if head.spandrel_manifest > CATALOG_FORMAT_VERSION {
            return Err(StorageError::NewerFormat {
                object: object.to_owned(),
                found: head.spandrel_manifest,
                supported: CATALOG_FORMAT_VERSION,
            });
        }
        let observed = digest(body);
        if observed != head.sha256 {
            return Err(corrupt("SHA-256", observed, &head.sha256));
        }
        let unreadable =
            |error: serde_json::Error| corrupt("manifest body", error.to_string(), "JSON");
        if head.spandrel_manifest < CATALOG_FORMAT_VERSION {
            return Ok(Self::from_v1(
                serde_json::from_slice(body).map_err(unreadable)?,
            ));
        }
        let body: Body = serde_json::from_slice(body).map_err(unreadable)?;
        let recent = BASE64
            .decode(&body.recent)
            .map_err(|error| corrupt("recent descriptions", error.to_string(), "base64"))?;
        let recent = descriptions::decode(object, &body.tenant, &recent)?;
        Ok(Self {
            tenant: body.tenant,
            version: body.version,
            oldest_version: body.oldest_version,
            writer_nonce: body.writer_nonce,
            parts: body.parts,
            recent,
            removed: body.removed,
            edits: body.edits,
        })
    }

    fn from_v1(body: BodyV1) -> Self {
        Self {
            version: body.version,
            oldest_version: body.oldest_version,
            writer_nonce: body.writer_nonce,
            recent: body.blocks,
            ..Self::empty(body.tenant)
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
