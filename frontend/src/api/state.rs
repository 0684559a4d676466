//! What every handler knows.

use std::fmt;
use std::sync::Arc;

use prometheus::Registry;

use crate::query::Frontend;

/// What every handler knows.
#[derive(Debug, Clone)]
pub(super) struct ApiState {
    pub(super) frontend: Arc<Frontend>,
    pub(super) operations: Arc<Operations>,
}

/// Says whether queries can be answered: nothing, or the reason why not.
pub type Readiness = dyn Fn() -> Result<(), String> + Send + Sync;

/// What the operational pages show.
pub struct Operations {
    /// Whether the process is ready, or why not.
    pub ready: Arc<Readiness>,
    /// The metrics of the process.
    pub registry: Registry,
    /// The settings as text, without secrets.
    pub config: ConfigTexts,
    /// The version of this program.
    pub version: String,
    /// The commit that it was built from; empty if unknown.
    pub revision: String,
}

/// The settings as text, without secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigTexts {
    /// As they are.
    pub current: String,
    /// As they would be without a configuration.
    pub defaults: String,
    /// Only those that are not at their default.
    pub diff: String,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Operations {
    /// This program's name, version and commit in one word.
    pub(super) fn revision_text(&self) -> String {
        let Self {
            version, revision, ..
        } = self;
        if revision.is_empty() {
            format!("spandrel-{version}")
        } else {
            format!("spandrel-{version}-{revision}")
        }
    }
}
