//! Merging what the spans of some jobs come to.

use std::sync::Arc;

use engine::{EngineError, Grid, PartialSeries, Placement};

use crate::error::QueryError;
use crate::threads::off_reactor;

/// The partial series that some spans come to.
#[derive(Debug)]
pub(crate) enum Part {
    /// A state of the query alone.
    Own(Box<PartialSeries>),
    /// A state that others use, too.
    Shared(Arc<PartialSeries>, Placement),
}

impl Part {
    /// How many values there are to merge, about.
    fn cells(&self, grid: Grid) -> u64 {
        let (series, intervals) = match self {
            Self::Own(series) => (&**series, grid.intervals),
            Self::Shared(series, placement) => (&**series, placement.count),
        };
        let groups = u64::try_from(series.group_count()).unwrap_or(u64::MAX);
        groups.saturating_mul(u64::from(intervals))
    }
}

/// Merges partial series; a large merge leaves the threads that serve requests.
pub(crate) async fn merge(
    mut merged: PartialSeries,
    parts: Vec<Part>,
    grid: Grid,
) -> Result<PartialSeries, QueryError> {
    /// Far below a millisecond of work.
    const SMALL: u64 = 10_000;
    let cells = parts.iter().map(|part| part.cells(grid));
    let cells = cells.fold(0_u64, u64::saturating_add);
    let work = move || {
        for part in parts {
            match part {
                Part::Own(series) => merged.merge(*series)?,
                Part::Shared(series, placement) => merged.merge_part(&series, placement)?,
            }
        }
        Ok::<_, EngineError>(merged)
    };
    let merged = if cells <= SMALL {
        work()
    } else {
        off_reactor(work).await?
    };
    Ok(merged?)
}
