//! Moving recorded spans in time, all by one offset.

use super::cancel::Cancel;
use super::source::{Counter, Source};
use super::source_error::SourceError;

/// Which time spans get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// The one they have.
    None,
    /// All later by one offset, so that the latest span ends at this time, ns since the epoch.
    EndAt(i64),
}

/// The offset in ns that a shift means for these sources; reads them once.
pub(super) fn offset_ns(
    sources: &[Source],
    shift: Shift,
    cancel: &Cancel,
) -> Result<i64, SourceError> {
    let Shift::EndAt(end_ns) = shift else {
        return Ok(0);
    };
    let mut latest = None;
    for source in sources {
        for request in source.open(&Counter::default(), &Counter::default())? {
            latest = latest.max(request?.0.latest_end_ns());
            if cancel.is_cancelled() {
                break;
            }
        }
    }
    Ok(latest.map_or(0, |latest| end_ns.saturating_sub(latest)))
}
