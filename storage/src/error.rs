//! What can go wrong, one variant per cause, and what to do about it.

use std::error::Error;
use std::sync::Arc;

use parquet::errors::ParquetError;

use crate::ids::{BlockId, TenantId};

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong; sending it again does not help.
    InvalidInput,
    /// The thing asked for does not exist.
    NotFound,
    /// A limit was met.
    Limit,
    /// Try again later.
    Unavailable,
    /// Stored data is damaged or of an unknown kind.
    Corrupt,
    /// A defect of this program.
    Internal,
}

/// An error of this crate.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A message in a stream of length-delimited messages could not be read.
    #[error("cannot read message {number} at byte {offset}: {reason}")]
    Message {
        /// Number of the message, from 1.
        number: u64,
        /// Where the message starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A message is longer than allowed.
    #[error("message {number} at byte {offset} is too long: length={length} limit={limit}")]
    MessageTooLong {
        /// Number of the message, from 1.
        number: u64,
        /// Where the message starts.
        offset: u64,
        /// Length of the message, bytes.
        length: u64,
        /// Longest allowed.
        limit: u64,
    },
    /// The spans do not fit into one block.
    #[error("too much for one block: {what} count={count} limit={limit}")]
    BlockTooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        count: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A block without spans was asked for.
    #[error("a block needs at least one span")]
    EmptyBlock,
    /// Stored data differs from what was written.
    #[error("damaged object: {what} is {observed}, expected {expected}: {object}")]
    Corrupt {
        /// Name of the object.
        object: String,
        /// The part of the object that is damaged.
        what: String,
        /// What should have been there.
        expected: String,
        /// What is there.
        observed: String,
    },
    /// The file is no block.
    #[error("not a block: {reason}: {object}")]
    NotABlock {
        /// Name of the object.
        object: String,
        /// Why not.
        reason: String,
    },
    /// The object was written by a newer version.
    #[error(
        "format version {found} is newer than {supported}, the newest this build reads: {object}"
    )]
    NewerFormat {
        /// Name of the object.
        object: String,
        /// Version of the format that the object has.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// An object does not exist.
    #[error("no such object: {object}")]
    NotFound {
        /// Name of the object.
        object: String,
    },
    /// The object store failed.
    #[error("object store failed on {operation}: {object}")]
    Store {
        /// What was attempted.
        operation: &'static str,
        /// On which object.
        object: String,
        /// The store's own error.
        source: Arc<object_store::Error>,
    },
    /// A store location could not be opened.
    #[error("cannot open store {location}: {reason}")]
    OpenStore {
        /// The location as given, without secrets.
        location: String,
        /// Why not.
        reason: String,
    },
    /// A commit would break a promise of the catalog.
    #[error("catalog refused: {reason} tenant={tenant}")]
    CatalogInvariant {
        /// The tenant whose catalog it is.
        tenant: TenantId,
        /// The promise that would be broken.
        reason: String,
    },
    /// A block to be removed is not in the catalog.
    #[error("block is not in the catalog: block={block} tenant={tenant}")]
    BlockNotLive {
        /// The tenant whose catalog it is.
        tenant: TenantId,
        /// The block.
        block: BlockId,
    },
    /// A copy would take the place of something else.
    #[error(
        "{location} has version {found} of the catalog of tenant {tenant}, which is not version {version} that would be copied there: choose another place, or remove it first"
    )]
    Occupied {
        /// Where the copy was to go.
        location: String,
        /// The tenant whose catalog it is.
        tenant: TenantId,
        /// The version that is there.
        found: u64,
        /// The version that was to be copied.
        version: u64,
    },
    /// A version of a catalog is not in the store, or not any more.
    #[error(
        "version {version} of the catalog of tenant {tenant} is not kept: the newest is {newest}, and about a hundred before it are"
    )]
    VersionNotKept {
        /// The tenant whose catalog it is.
        tenant: TenantId,
        /// The version.
        version: u64,
        /// The newest version.
        newest: u64,
    },
    /// Other writers were faster, too many times in a row.
    #[error("commit lost to other writers too often: attempts={attempts} tenant={tenant}")]
    CommitContention {
        /// The tenant whose catalog it is.
        tenant: TenantId,
        /// How often the commit was tried.
        attempts: u32,
    },
    /// Reading or writing Parquet failed.
    #[error("parquet failed: {object}")]
    Parquet {
        /// Name of the object.
        object: String,
        /// Parquet's own error.
        source: Arc<ParquetError>,
    },
    /// An Arrow operation failed.
    #[error("arrow failed while {doing}")]
    Arrow {
        /// What was being done.
        doing: &'static str,
        /// Arrow's own error.
        source: Arc<arrow::error::ArrowError>,
    },
    /// What is asked for cannot be told yet.
    #[error("not ready: {reason}")]
    NotReady {
        /// What has to be done before.
        reason: &'static str,
    },
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

impl StorageError {
    /// What a caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Message { .. }
            | Self::EmptyBlock
            | Self::OpenStore { .. }
            | Self::CatalogInvariant { .. }
            | Self::Occupied { .. } => ErrorKind::InvalidInput,
            Self::MessageTooLong { .. } | Self::BlockTooLarge { .. } => ErrorKind::Limit,
            Self::Corrupt { .. }
            | Self::NotABlock { .. }
            | Self::NewerFormat { .. }
            | Self::Parquet { .. } => ErrorKind::Corrupt,
            Self::NotFound { .. } | Self::BlockNotLive { .. } | Self::VersionNotKept { .. } => {
                ErrorKind::NotFound
            }
            Self::Store { .. } | Self::CommitContention { .. } | Self::NotReady { .. } => {
                ErrorKind::Unavailable
            }
            Self::Arrow { .. } | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Finds an error of this crate in a chain of sources, however deep other layers wrapped it.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            // Parquet's external errors do not always show what they carry as their source.
            if let Some(ParquetError::External(inner)) = error.downcast_ref::<ParquetError>()
                && let Some(found) = Self::find(inner.as_ref())
            {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// Recovers our own error from Parquet's, or wraps Parquet's.
    #[must_use]
    pub fn from_parquet(object: &str, error: ParquetError) -> Self {
        Self::find(&error)
            .cloned()
            .unwrap_or_else(|| Self::Parquet {
                object: object.to_owned(),
                source: Arc::new(error),
            })
    }

    /// Wraps an error of the object store; a missing object becomes [`StorageError::NotFound`].
    #[must_use]
    pub fn from_store(operation: &'static str, object: &str, error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) {
            Self::NotFound {
                object: object.to_owned(),
            }
        } else {
            Self::Store {
                operation,
                object: object.to_owned(),
                source: Arc::new(error),
            }
        }
    }

    /// The error of a block whose rows are not as the format says, though its bytes are what was written.
    pub(crate) fn malformed(object: &str, what: &str) -> Self {
        Self::Corrupt {
            object: object.to_owned(),
            what: what.to_owned(),
            expected: "as the format says".to_owned(),
            observed: "missing or of another type".to_owned(),
        }
    }

    pub(crate) fn arrow(doing: &'static str, error: arrow::error::ArrowError) -> Self {
        Self::Arrow {
            doing,
            source: Arc::new(error),
        }
    }
}

impl From<StorageError> for ParquetError {
    fn from(error: StorageError) -> Self {
        Self::External(Box::new(error))
    }
}
