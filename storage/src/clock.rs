//! What time it is: a part that is handed in where a thing is built, so that a test can move it.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Both kinds of it cost tens of nanoseconds and never fail.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, in ns since the Unix epoch; for what people and other machines read. It may
    /// jump, also backwards.
    fn now_ns(&self) -> i64;

    /// A clock that only goes forward; for how long something took, and whether it is due.
    fn instant(&self) -> Instant;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the program learns what time it is"
)]
impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        // A machine that believes to be before 1970 is at its very beginning.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX)
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}
