//! Why a source cannot be read on.

use std::io;

/// Why a source cannot be read on. Message and line numbers count from 1.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened.
    #[error("cannot open {name}")]
    Open {
        /// The source.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Its bytes cannot be read or decompressed.
    #[error("cannot read {name}")]
    Read {
        /// The source.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A length-delimited message is damaged; the error says which one and where.
    #[error("{name} is damaged")]
    Message {
        /// The source.
        name: String,
        /// Which message, and what is wrong with it.
        source: storage::StorageError,
    },
    /// A line is no request in OTLP/JSON.
    #[error("{name} is damaged: line {line} at byte {offset}: {reason}")]
    Line {
        /// The source.
        name: String,
        /// The line.
        line: u64,
        /// Where it starts in the decompressed text.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
}
