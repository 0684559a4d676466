//! Which traces pairs of stored blocks have in common, as far as that was found before.
//!
//! Blocks never change, so what was found stays true; what was not asked for long goes first.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use storage::ids::{BlockId, TraceId};

/// Two blocks, in the order in which they are asked about.
type Pair = (BlockId, BlockId);

/// Trace ids remembered for all pairs, 16 bytes each.
const REMEMBERED_IDS: u64 = 4 << 20;
/// What a pair takes besides its trace ids, in trace ids: one without common traces takes room, too.
const PAIR_IDS: u64 = 4;

/// What was found for pairs of stored blocks.
pub struct PairCache {
    pairs: Cache<Pair, Arc<[TraceId]>, Ids>,
}

/// Weighs what was found by its trace ids.
#[derive(Debug, Clone)]
struct Ids;

impl Weighter<Pair, Arc<[TraceId]>> for Ids {
    fn weight(&self, _: &Pair, found: &Arc<[TraceId]>) -> u64 {
        found.len() as u64 + PAIR_IDS
    }
}

impl fmt::Debug for PairCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairCache")
            .field("ids", &self.pairs.weight())
            .finish_non_exhaustive()
    }
}

impl Default for PairCache {
    fn default() -> Self {
        Self::of(REMEMBERED_IDS)
    }
}

impl PairCache {
    /// A cache of at most so many trace ids.
    #[expect(clippy::expect_used, reason = "nothing that can be missing is")]
    fn of(ids: u64) -> Self {
        /// About what a pair takes, in trace ids.
        const USUAL_IDS: u64 = 64;
        // A pair is asked for once in a query: one lock is no hindrance, and shards would each have to
        // hold the largest.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(usize::try_from(ids / USUAL_IDS).unwrap_or(usize::MAX))
            .weight_capacity(ids)
            .build()
            .expect("both capacities are given");
        let pairs = Cache::with_options(
            options,
            Ids,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self { pairs }
    }

    pub(crate) fn get(&self, pair: Pair) -> Option<Arc<[TraceId]>> {
        self.pairs.get(&pair)
    }

    /// Remembers what was found for a pair, unless that is nearly as much as all pairs may have.
    pub(crate) fn insert(&self, pair: Pair, found: &Arc<[TraceId]>) {
        self.pairs.insert(pair, Arc::clone(found));
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn pair(number: u128) -> Pair {
        (BlockId(Ulid(number)), BlockId(Ulid(number + 1)))
    }

    #[test]
    fn ids_are_bounded_and_pairs_in_use_stay() {
        let cache = PairCache::of(100);
        let found: Arc<[TraceId]> = vec![TraceId([1; 16]); 6].into();
        for number in 0..50 {
            cache.insert(pair(number), &found);
            assert_eq!(cache.get(pair(0)), Some(Arc::clone(&found)), "{number}");
            assert!(cache.pairs.weight() <= 100);
        }
        let kept = (0..50).filter(|&number| cache.get(pair(number)).is_some());
        assert_eq!(kept.count(), 10);
    }

    #[test]
    fn one_pair_does_not_drive_out_all_others() {
        let cache = PairCache::of(100);
        let found: Arc<[TraceId]> = Arc::new([]);
        cache.insert(pair(1), &found);
        cache.insert(pair(2), &vec![TraceId([1; 16]); 100].into());
        assert_eq!(cache.get(pair(1)), Some(found));
        assert_eq!(cache.get(pair(2)), None);
    }
}
