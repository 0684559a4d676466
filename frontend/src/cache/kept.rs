//! The states that are kept: those used last, within a number of bytes.

use std::sync::Arc;

use engine::PartialSeries;
use lru::LruCache;

use super::key::StateKey;
use super::run::Run;

/// A state larger than this share of the cache is not kept: it would drive out too many others.
const LARGEST_SHARE: usize = 8;
/// What a run takes besides its state, about: its key, its row groups, its place in the order of use.
pub(super) const RUN_BYTES: usize = 512;

/// The state of a run.
#[derive(Debug)]
pub(super) struct KeptRun {
    pub(super) run: Run,
    pub(super) state: Arc<PartialSeries>,
    bytes: usize,
}

/// States by what they depend on.
#[derive(Debug)]
pub(super) struct KeptStates {
    capacity_bytes: usize,
    /// Of each key, runs without a row group in common.
    runs: LruCache<StateKey, Vec<KeptRun>>,
    bytes: usize,
}

/// Runs that were dropped to make room. Freeing them takes time, so whoever gets them gives up the
/// lock first.
pub(super) type Dropped = Vec<Vec<KeptRun>>;

impl KeptRun {
    pub(super) fn new(run: Run, state: Arc<PartialSeries>) -> Self {
        Self {
            bytes: state.memory_bytes() + run.row_groups.len() * size_of::<usize>() + RUN_BYTES,
            run,
            state,
        }
    }
}

impl KeptStates {
    /// None yet, and never more than so many bytes.
    pub(super) fn new(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes,
            runs: LruCache::unbounded(),
            bytes: 0,
        }
    }

    /// Bytes that all states take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The runs of a key, which counts as a use of them.
    pub(super) fn runs(&mut self, key: &StateKey) -> &[KeptRun] {
        self.runs.get(key).map_or(&[], Vec::as_slice)
    }

    /// The state of a run.
    pub(super) fn get(&mut self, key: &StateKey, run: &Run) -> Option<Arc<PartialSeries>> {
        let kept = self.runs(key).iter().find(|kept| kept.run == *run)?;
        Some(Arc::clone(&kept.state))
    }

    /// Keeps a state, unless it is too large or there are others for some of its row groups.
    pub(super) fn keep(&mut self, key: &StateKey, kept: KeptRun) -> Dropped {
        let mut dropped = Vec::new();
        if kept.bytes > self.capacity_bytes / LARGEST_SHARE {
            return dropped;
        }
        let runs = self.runs.get_or_insert_mut(key.clone(), Vec::new);
        // Two queries may have cut the block in different ways at the same time.
        if runs.iter().any(|held| held.run.overlaps(&kept.run)) {
            return dropped;
        }
        self.bytes += kept.bytes;
        runs.push(kept);
        while self.bytes > self.capacity_bytes
            && let Some((_, runs)) = self.runs.pop_lru()
        {
            let bytes: usize = runs.iter().map(|run| run.bytes).sum();
            self.bytes = self.bytes.saturating_sub(bytes);
            dropped.push(runs);
        }
        dropped
    }

    /// Forgets all states.
    pub(super) fn clear(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.capacity_bytes))
    }
}
