//! One stored version of a catalog.
//!
//! An object of two lines: a head with the version of the format and the SHA-256 of the second
//! line, and the manifest as JSON. So damage is found before anything is believed, and the format
//! version is readable even where the rest is not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId};

/// Version of the manifest format that this build writes, and the newest that it reads.
pub const MANIFEST_FORMAT_VERSION: u32 = 1;

/// One version of the catalog of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format_version: u32,
    /// Whose blocks these are.
    pub tenant: TenantId,
    /// Version of the manifest, from 1; 0 for the catalog that was never committed to.
    pub version: u64,
    /// Oldest version that may still be in the store.
    pub oldest_version: u64,
    /// Made up by the writer for this one commit, so that it knows its own commit again.
    pub writer_nonce: String,
    /// The live blocks, ordered by id.
    pub blocks: Vec<Arc<BlockMeta>>,
}

/// A change to a catalog.
#[derive(Debug, Clone, Default)]
pub struct ManifestEdit {
    /// Blocks that become live. Their files must be stored.
    pub add: Vec<Arc<BlockMeta>>,
    /// Blocks that stop being live.
    pub remove: Vec<BlockId>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    spandrel_manifest: u32,
    sha256: String,
}

impl Manifest {
    /// The catalog that was never committed to.
    #[must_use]
    pub fn empty(tenant: TenantId) -> Self {
        Self {
            format_version: MANIFEST_FORMAT_VERSION,
            tenant,
            version: 0,
            oldest_version: 1,
            writer_nonce: String::new(),
            blocks: Vec::new(),
        }
    }

    /// The block of an id.
    #[must_use]
    pub fn block(&self, id: BlockId) -> Option<&Arc<BlockMeta>> {
        let at = self
            .blocks
            .binary_search_by_key(&id, |block| block.block_id)
            .ok()?;
        self.blocks.get(at)
    }

    /// The bytes to store.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON, which would be a defect.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StorageError> {
        let internal = |error: serde_json::Error| StorageError::Internal(error.to_string());
        let body = serde_json::to_vec(self).map_err(internal)?;
        let head = Head {
            spandrel_manifest: self.format_version,
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
        if head.spandrel_manifest > MANIFEST_FORMAT_VERSION {
            return Err(StorageError::NewerFormat {
                object: object.to_owned(),
                found: head.spandrel_manifest,
                supported: MANIFEST_FORMAT_VERSION,
            });
        }
        let observed = digest(body);
        if observed != head.sha256 {
            return Err(corrupt("SHA-256", observed, &head.sha256));
        }
        serde_json::from_slice(body)
            .map_err(|error| corrupt("manifest body", error.to_string(), "JSON"))
    }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
