//! A clock that stands still until a test moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use storage::clock::{Clock, SystemClock};

/// A clock that stands still until a test moves it; both its times go forward together.
#[derive(Debug)]
pub struct TestClock {
    start_ns: i64,
    start: Instant,
    passed_ns: AtomicU64,
}

impl TestClock {
    /// A clock whose wall clock says this, in ns since the Unix epoch.
    #[must_use]
    pub fn at(now_ns: i64) -> Arc<Self> {
        Arc::new(Self {
            start_ns: now_ns,
            start: SystemClock.instant(),
            passed_ns: AtomicU64::new(0),
        })
    }

    /// Lets time pass, at once.
    pub fn advance(&self, by: Duration) {
        let by_ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.passed_ns.fetch_add(by_ns, Ordering::SeqCst);
    }

    fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed_ns.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now_ns(&self) -> i64 {
        let passed_ns = i64::try_from(self.passed().as_nanos()).unwrap_or(i64::MAX);
        self.start_ns.saturating_add(passed_ns)
    }

    fn instant(&self) -> Instant {
        self.start + self.passed()
    }
}
