//! The runtime of commands that do input and output.

/// A runtime with a thread for each core.
///
/// # Errors
/// If its threads cannot be started.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
