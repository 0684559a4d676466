//! Handlers that panic.

use std::any::Any;

/// The text of a panic goes to the log only: it may hold paths or data.
pub(super) fn log_panic(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = text.unwrap_or("of unknown type"),
        "request handler panicked"
    );
}
