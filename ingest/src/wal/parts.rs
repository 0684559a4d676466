//! What the log works with.

use std::sync::Arc;

use storage::{Clock, Random};

use crate::config::IngestConfig;
use crate::disk::Disk;
use crate::head::Head;
use crate::metrics::Metrics;
use crate::retries::RetryWindow;

/// What reading and writing the log take; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LogParts {
    /// The settings of the receive path.
    pub(crate) config: Arc<IngestConfig>,
    /// Where segments lie.
    pub(crate) disk: Arc<dyn Disk>,
    /// Where durable requests go.
    pub(crate) head: Arc<Head>,
    /// Who is told of durable requests.
    pub(crate) retries: Arc<RetryWindow>,
    /// Counts what happens.
    pub(crate) metrics: Metrics,
    /// Says when a generation is due, and how long a sync took.
    pub(crate) clock: Arc<dyn Clock>,
    /// Makes up the ids of segments, which become those of blocks.
    pub(crate) random: Arc<Random>,
}
