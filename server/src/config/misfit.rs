//! Settings that are well written one by one, but do not fit together.

/// Settings that are well written one by one, but do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MisfitError {
    /// A setting is needed because of another one.
    #[error("`{needed}` must be set, because `storage.trace.backend` is `{backend}`")]
    Needed {
        /// The one that is missing.
        needed: &'static str,
        /// The backend that needs it.
        backend: String,
    },
    /// An address cannot be understood.
    #[error("`{key}` is no address such as 0.0.0.0:4317: {value}")]
    Address {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A part of the program refuses its settings.
    #[error("{0}")]
    Refused(String),
}
