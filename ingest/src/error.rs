//! What can go wrong, and what the sender should do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use storage::ids::InvalidTenantId;

/// Why a request was not accepted. Nothing of it is stored, unless the error is
/// [`PushError::WalUnavailable`] or [`PushError::DiskFull`]: then it may turn up after a restart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The bytes are not what their content type says.
    #[error("err-malformed: {reason}")]
    Malformed {
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The request is too long, as sent or decompressed.
    #[error(
        "err-body-too-large: the request has more than {limit} bytes (limit ingest.max_request_bytes)"
    )]
    BodyTooLarge {
        /// Bytes that a request may have.
        limit: usize,
    },
    /// The request has too many spans, attributes or other messages.
    #[error("err-too-many-items: the request has more than {limit} {what} (limit {key})")]
    TooManyItems {
        /// What the request has too many of.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
        /// The setting that allows more.
        key: &'static str,
    },
    /// The request holds more than its tenant may ever send at once.
    #[error(
        "err-larger-than-burst: the request has {observed} {what}, and a tenant may send {limit} at once (limit {key})"
    )]
    LargerThanBurst {
        /// How many bytes or spans the request has.
        observed: u64,
        /// Whether bytes or spans are counted.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
        /// The setting that allows more.
        key: &'static str,
    },
    /// The tenant sends faster than it may.
    #[error(
        "err-rate-limited: the tenant sends more than {limit} {what} a second (limit {key}); this request fits in {} s",
        retry_after.as_secs()
    )]
    RateLimited {
        /// Whether it sends too many bytes or too many spans.
        what: &'static str,
        /// How many of them a tenant may send a second.
        limit: u64,
        /// The setting that allows more.
        key: &'static str,
        /// How long it takes until the request fits, unless others come first.
        retry_after: Duration,
    },
    /// The body is compressed in a way that is not known.
    #[error(
        "err-content-encoding: unknown content encoding {encoding:?}; known are gzip, deflate, zstd and identity"
    )]
    UnknownEncoding {
        /// The name of the encoding, at most 64 characters of it.
        encoding: String,
    },
    /// No tenant was named.
    #[error("no org id")]
    TenantMissing,
    /// The tenant named cannot exist.
    #[error("err-tenant-id: {source}")]
    TenantInvalid {
        /// What is wrong with the name.
        source: InvalidTenantId,
    },
    /// The memory set aside for requests is used up, or spans arrive faster than blocks are written.
    #[error("err-overloaded: {resource} is full (limit {key})")]
    Overloaded {
        /// Which memory is used up.
        resource: &'static str,
        /// The setting that allows more.
        key: &'static str,
    },
    /// The sender did not go on sending.
    #[error("err-slow-client: no byte of the request's body arrived for {} s", waited.as_secs())]
    SlowClient {
        /// For how long no byte came.
        waited: Duration,
    },
    /// The sender went away in the middle of the request.
    #[error("err-disconnected: the request's body ended early")]
    Disconnected,
    /// The disk has less space left than must be.
    #[error(
        "err-wal-disk-full: the disk of the write-ahead log has less than {limit} bytes free (limit wal.low_water_bytes)"
    )]
    DiskLow {
        /// Bytes of the disk that must be free.
        limit: u64,
    },
    /// The disk is full.
    #[error("err-wal-disk-full: no space is left on the disk of the write-ahead log")]
    DiskFull,
    /// The log could not be written.
    #[error("err-wal-unavailable: the write-ahead log could not be written")]
    WalUnavailable,
    /// The process is about to end.
    #[error("err-shutting-down: the server is shutting down")]
    ShuttingDown,
    /// A defect of this program.
    #[error("err-internal: internal error")]
    Internal,
}

/// What an error asks of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request can never succeed as it is.
    Invalid,
    /// The request can never succeed because of its size.
    TooLarge,
    /// The sender must say who it is.
    Unauthenticated,
    /// The same request will succeed once the tenant has sent less for a while.
    RateLimited {
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// The same request will succeed later.
    Unavailable {
        /// How long to wait before trying again.
        retry_after: Duration,
    },
    /// The sender took too long, or left.
    Timeout,
    /// A defect of this program; sending again would only repeat it.
    Internal,
}

impl PushError {
    /// What the error asks of the sender.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        let later = |seconds| ErrorKind::Unavailable {
            retry_after: Duration::from_secs(seconds),
        };
        match self {
            Self::Malformed { .. } | Self::UnknownEncoding { .. } | Self::TenantInvalid { .. } => {
                ErrorKind::Invalid
            }
            Self::BodyTooLarge { .. }
            | Self::TooManyItems { .. }
            | Self::LargerThanBurst { .. } => ErrorKind::TooLarge,
            Self::RateLimited { retry_after, .. } => ErrorKind::RateLimited {
                retry_after: *retry_after,
            },
            Self::TenantMissing => ErrorKind::Unauthenticated,
            Self::Overloaded { .. } | Self::ShuttingDown | Self::WalUnavailable => later(1),
            Self::DiskLow { .. } | Self::DiskFull => later(30),
            Self::SlowClient { .. } | Self::Disconnected => ErrorKind::Timeout,
            Self::Internal => ErrorKind::Internal,
        }
    }

    /// The stable name of the error, as documented and as counted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "err-malformed",
            Self::BodyTooLarge { .. } => "err-body-too-large",
            Self::TooManyItems { .. } => "err-too-many-items",
            Self::LargerThanBurst { .. } => "err-larger-than-burst",
            Self::RateLimited { .. } => "err-rate-limited",
            Self::UnknownEncoding { .. } => "err-content-encoding",
            Self::TenantMissing => "err-tenant-missing",
            Self::TenantInvalid { .. } => "err-tenant-id",
            Self::Overloaded { .. } => "err-overloaded",
            Self::SlowClient { .. } => "err-slow-client",
            Self::Disconnected => "err-disconnected",
            Self::DiskLow { .. } | Self::DiskFull => "err-wal-disk-full",
            Self::WalUnavailable => "err-wal-unavailable",
            Self::ShuttingDown => "err-shutting-down",
            Self::Internal => "err-internal",
        }
    }
}

/// Why a request is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    /// Less space is left than must be. Nothing of the request was written.
    #[error("the disk is nearly full")]
    DiskLow,
    /// No space is left. The request may still turn up after a restart.
    #[error("the disk is full")]
    DiskFull,
    /// Writing or syncing failed. The request may still turn up after a restart.
    #[error("the log could not be written")]
    Unavailable,
}

/// Why the receive path could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}", path.display())]
    DataFolder {
        /// The data folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("the data folder {} is in use by another process", path.display())]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// A file of the log cannot be read, listed or removed.
    #[error("cannot {operation} {} of the write-ahead log", path.display())]
    Log {
        /// The operation that failed.
        operation: &'static str,
        /// The file, relative to the data folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The log was written by a newer version of this program.
    #[error("{} was written by a newer version of this program (format {version})", path.display())]
    NewerLog {
        /// The file, relative to the data folder.
        path: PathBuf,
        /// The format version of the file.
        version: u16,
    },
    /// The catalog of stored blocks cannot be read.
    #[error("cannot read the catalog of stored blocks")]
    Catalog(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A metric of the same name is registered already.
    #[error("cannot register metrics")]
    Metrics(#[source] prometheus::Error),
    /// The thread that writes the log cannot be started.
    #[error("cannot start the log's thread")]
    Thread(#[source] io::Error),
}

/// Why spans in memory did not become a block. They stay in the log and in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The block could not be made, stored or committed.
    #[error("cannot store block {block}")]
    Store {
        /// The block that the spans would have become.
        block: storage::ids::BlockId,
        /// The error of storage.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The encoder of blocks panicked.
    #[error("encoding block {block} panicked")]
    Panicked {
        /// The block that the spans would have become.
        block: storage::ids::BlockId,
    },
}
