//! What a state depends on.

use engine::{Fingerprint, Grid};
use storage::block::meta::BlockMeta;
use storage::ids::{BlockId, TenantId};

/// What a query wants states of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) query: Fingerprint,
    pub(crate) grid: Grid,
    pub(crate) block: &'a BlockMeta,
    pub(crate) without: Option<Fingerprint>,
    /// Whether the states are to have spans that may be shown.
    pub(crate) chooses: bool,
}

impl Wanted<'_> {
    pub(super) fn key(&self, borders: Option<Borders>) -> StateKey {
        self.key_of(borders, self.chooses)
    }

    /// The keys of all states that will do: those with more than is wanted, too.
    pub(super) fn keys(&self, borders: Option<Borders>) -> impl Iterator<Item = StateKey> {
        let more = (!self.chooses).then(|| self.key_of(borders, true));
        std::iter::once(self.key(borders)).chain(more)
    }

    fn key_of(&self, borders: Option<Borders>, chooses: bool) -> StateKey {
        StateKey {
            block: self.block.block_id,
            tenant: self.block.tenant.clone(),
            without: self.without,
            query: self.query,
            borders,
            chooses,
        }
    }
}

/// What a state depends on, besides its row groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StateKey {
    block: BlockId,
    tenant: TenantId,
    /// Traces that are left out because parts of them lie in other blocks, too.
    without: Option<Fingerprint>,
    query: Fingerprint,
    /// `None` where all spans lie in one interval, so that it does not matter where others end.
    borders: Option<Borders>,
    /// Whether they have spans that may be shown.
    chooses: bool,
}

/// Where intervals end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Borders {
    step_ns: i64,
    phase_ns: i64,
}

impl Borders {
    pub(super) fn of(grid: &Grid) -> Self {
        Self {
            step_ns: grid.step_ns,
            phase_ns: grid.phase_ns(),
        }
    }

    /// The borders inside a grid.
    pub(super) fn between(grid: &Grid) -> Option<Self> {
        (grid.intervals > 1).then(|| Self::of(grid))
    }
}
