//! What is made up: ids of blocks, nonces of commits, pauses that differ between writers.
//!
//! A part that is handed in where a thing is built: with a seed and a test's clock it makes the same
//! up each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use ulid::Ulid;

use crate::clock::{Clock, SystemClock};
use crate::ids::BlockId;

/// Makes up what must differ from all that was made up before.
#[derive(Debug)]
pub struct Random {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    source: StdRng,
    /// The last id made up.
    last: Ulid,
}

impl Random {
    /// Begins with a seed from the operating system, and uses its clock.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the program gets a seed"
    )]
    pub fn from_system() -> Arc<Self> {
        Self::new(StdRng::from_os_rng(), Arc::new(SystemClock))
    }

    /// Begins with this seed: the same calls at the same times make the same up.
    #[must_use]
    pub fn seeded(seed: u64, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::new(StdRng::seed_from_u64(seed), clock)
    }

    fn new(source: StdRng, clock: Arc<dyn Clock>) -> Arc<Self> {
        let last = Ulid::nil();
        Arc::new(Self {
            clock,
            state: Mutex::new(State { source, last }),
        })
    }

    /// An id that begins with the wall clock's milliseconds, so that ids sort by the time they were
    /// made at, and has 80 random bits. It is larger than all from here before it, also where the
    /// clock stands still or goes back.
    #[must_use]
    pub fn ulid(&self) -> Ulid {
        let now_ms = u64::try_from(self.clock.now_ns() / 1_000_000).unwrap_or(0);
        let mut state = self.lock();
        let new = Ulid::from_parts(now_ms, state.source.random());
        state.last = match state.last.increment() {
            Some(next) => new.max(next),
            None => new,
        };
        state.last
    }

    /// An id for a new block.
    #[must_use]
    pub fn block_id(&self) -> BlockId {
        BlockId(self.ulid())
    }

    /// A duration between zero and `most`.
    #[must_use]
    pub fn up_to(&self, most: Duration) -> Duration {
        let part: f64 = self.lock().source.random();
        most.mul_f64(part)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at any moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A clock that goes back by a millisecond with each look at it.
    #[derive(Debug)]
    struct Backwards(Mutex<i64>);

    impl Clock for Backwards {
        fn now_ns(&self) -> i64 {
            let mut now_ns = self.0.lock().unwrap();
            *now_ns -= 1_000_000;
            *now_ns
        }

        fn instant(&self) -> Instant {
            SystemClock.instant()
        }
    }

    fn ids(seed: u64) -> Vec<Ulid> {
        let clock = Backwards(Mutex::new(1_700_000_000_000_000_000));
        let random = Random::seeded(seed, Arc::new(clock));
        (0..100).map(|_| random.ulid()).collect()
    }

    #[test]
    fn ids_rise_whatever_the_clock_does_and_depend_on_the_seed() {
        let made = ids(1);
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert_eq!(made[0].timestamp_ms(), 1_699_999_999_999);
        assert_eq!(made, ids(1));
        assert!(made.iter().all(|id| !ids(2).contains(id)));
    }
}
