//! Threads for work that computes, beside those that serve requests.

use crate::error::QueryError;

/// Runs CPU-bound work away from the threads that serve requests.
pub(crate) async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, QueryError> {
    let failed = |error| {
        tracing::error!(%error, "query work panicked");
        QueryError::Internal("query work panicked")
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
}
