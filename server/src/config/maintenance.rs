//! The settings of compaction and retention.

use std::time::Duration;

use super::misfit::MisfitError;
use super::settings::Settings;
use super::value;

/// Largest `max_block_bytes`: Tempo's default of 100 GiB would make one block of a day.
const MAX_BLOCK_BYTES: u64 = 2 << 30;
/// Least `max_block_bytes`: with less, all of a window's pieces are small.
const MIN_BLOCK_BYTES: u64 = 1 << 20;

/// Most threads that merge blocks.
const MAX_CONCURRENCY: usize = 64;
/// Least retention but for none.
const MIN_RETENTION: Duration = Duration::from_secs(60 * 60);

/// What is done with stored blocks without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaintenanceConfig {
    /// Whether anything is done.
    pub is_on: bool,
    /// How long blocks are kept; `None`: for ever.
    pub retention: Option<Duration>,
    /// About how large a block becomes at most.
    pub max_block_bytes: u64,
    /// How many bytes blocks may take before the oldest go; `None`: as many as there are.
    pub max_bytes: Option<u64>,
    /// Threads that merge blocks.
    pub concurrency: usize,
}

impl MaintenanceConfig {
    pub(super) fn new(settings: &Settings) -> Result<Self, MisfitError> {
        const RETENTION: &str = "backend_worker.compaction.block_retention";
        let text = settings.text(RETENTION);
        let retention = value::parse_duration(text).filter(|keep| !keep.is_zero());
        if retention.is_some_and(|keep| keep < MIN_RETENTION) {
            return Err(MisfitError::Refused(format!(
                "`{RETENTION}` is 0, for ever, or at least 1h, because spans are deleted by the hour and late ones still come: {text}"
            )));
        }
        let max_block_bytes = settings.number("backend_worker.compaction.max_block_bytes");
        Ok(Self {
            is_on: !settings.is_on("overrides.defaults.compaction.compaction_disabled"),
            retention,
            max_bytes: max_bytes(settings)?,
            concurrency: usize::try_from(
                settings.number("backend_worker.compaction.max_concurrency"),
            )
            .unwrap_or(usize::MAX)
            .clamp(1, MAX_CONCURRENCY),
            max_block_bytes: max_block_bytes.clamp(MIN_BLOCK_BYTES, MAX_BLOCK_BYTES),
        })
    }
}

/// How many bytes blocks may take on a local disk, if that is limited.
fn max_bytes(settings: &Settings) -> Result<Option<u64>, MisfitError> {
    const MAX_BYTES: &str = "storage.trace.local.max_bytes";
    const BACKEND: &str = "storage.trace.backend";
    let max_bytes = Some(settings.number(MAX_BYTES)).filter(|bytes| *bytes > 0);
    if max_bytes.is_some() && settings.text(BACKEND) != "local" {
        return Err(MisfitError::Refused(format!(
            "`{MAX_BYTES}` is for the backend `local`, and `{BACKEND}` is `{}`: a bucket has no end; `backend_worker.compaction.block_retention` limits how long blocks are kept",
            settings.text(BACKEND)
        )));
    }
    Ok(max_bytes)
}
