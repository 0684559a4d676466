//! What can go wrong in a benchmark.

use std::io;
use std::path::PathBuf;

/// Why a benchmark ended without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("storage: {0}")]
    Storage(#[from] storage::StorageError),
    #[error("engine: {0}")]
    Engine(#[from] engine::EngineError),
    #[error("query: {0}")]
    Query(#[from] frontend::QueryError),
    #[error("the receive path does not open: {0}")]
    OpenIngest(#[from] ingest::OpenError),
    #[error("a request was refused: {0}")]
    Push(#[from] ingest::PushError),
    #[error("DataFusion: {0}")]
    DataFusion(#[from] datafusion::error::DataFusionError),
    #[error("{0}")]
    Rival(String),
    #[error("server: {0}")]
    Server(String),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("a thread of the benchmark failed: {0}")]
    Thread(#[from] tokio::task::JoinError),
    #[error("{0}")]
    Input(String),
    #[error("answers differ for `{query}`: {difference}")]
    Mismatch { query: String, difference: String },
}

impl BenchError {
    /// For `map_err` on file operations.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
