//! What a job's aggregation comes to: groups, and the states of each.

use arrow::array::ArrayRef;

use super::states::RangeState;

/// Groups and what was counted in them.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The key columns without dictionaries, one row a group.
    pub(crate) keys: Vec<ArrayRef>,
    /// The states, group by group.
    pub(crate) state: Box<dyn RangeState>,
}
