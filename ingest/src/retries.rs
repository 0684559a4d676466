//! Requests seen before: a sender that missed our answer sends again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use storage::Clock;
use tokio::sync::oneshot;

use crate::error::AppendError;

/// The outcome of an append, as everyone who waits for it hears it.
pub(crate) type AppendResult = Result<(), AppendError>;

/// The requests of the last minutes.
#[derive(Debug)]
pub(crate) struct RetryWindow {
    seen: Mutex<Seen>,
    max_requests: usize,
    max_age: Duration,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: HashMap<u128, State>,
    /// Durable requests, oldest first.
    order: VecDeque<(Instant, u128)>,
}

#[derive(Debug)]
enum State {
    InFlight(Vec<oneshot::Sender<AppendResult>>),
    Durable,
}

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Not seen before; the caller must append it.
    New,
    /// Being appended right now; its outcome will come.
    InFlight(oneshot::Receiver<AppendResult>),
    /// Durable since an earlier attempt.
    Durable,
}

impl RetryWindow {
    /// A window of so many requests at most, none of them older than `max_age`.
    pub(crate) fn new(max_requests: usize, max_age: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            seen: Mutex::default(),
            max_requests,
            max_age,
            clock,
        }
    }

    /// Looks a request up and, if it is new, marks it as being appended.
    pub(crate) fn admit(&self, hash: u128) -> Admission {
        let mut seen = self.lock();
        self.expire(&mut seen);
        match seen.requests.get_mut(&hash) {
            Some(State::Durable) => Admission::Durable,
            Some(State::InFlight(waiting)) => {
                let (sender, receiver) = oneshot::channel();
                waiting.push(sender);
                Admission::InFlight(receiver)
            }
            None => {
                seen.requests.insert(hash, State::InFlight(Vec::new()));
                Admission::New
            }
        }
    }

    /// Records the outcome of an append and tells those who wait for it.
    pub(crate) fn complete(&self, hash: u128, outcome: &AppendResult) {
        let mut seen = self.lock();
        let before = if outcome.is_ok() {
            seen.order.push_back((self.clock.instant(), hash));
            seen.requests.insert(hash, State::Durable)
        } else {
            seen.requests.remove(&hash)
        };
        self.expire(&mut seen);
        drop(seen);
        if let Some(State::InFlight(waiting)) = before {
            for waiter in waiting {
                // A waiter that left needs no answer.
                let _ = waiter.send(*outcome);
            }
        }
    }

    /// Notes a request found in the log. False if it was there already.
    pub(crate) fn replayed(&self, hash: u128) -> bool {
        let mut seen = self.lock();
        let new = seen.requests.insert(hash, State::Durable).is_none();
        if new {
            seen.order.push_back((self.clock.instant(), hash));
        }
        new
    }

    fn expire(&self, seen: &mut Seen) {
        let now = self.clock.instant();
        while let Some((since, hash)) = seen.order.front().copied() {
            if seen.order.len() <= self.max_requests && now.duration_since(since) <= self.max_age {
                break;
            }
            seen.order.pop_front();
            seen.requests.remove(&hash);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Every change above leaves the maps whole, so a panic elsewhere cannot have broken them.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use testkit::clock::TestClock;

    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(60);

    fn window(max_requests: usize) -> (RetryWindow, Arc<TestClock>) {
        let clock = TestClock::at(0);
        let window = RetryWindow::new(max_requests, MAX_AGE, Arc::clone(&clock) as _);
        (window, clock)
    }

    #[test]
    fn a_request_is_new_then_in_flight_then_durable() {
        let (window, _) = window(10);
        assert!(matches!(window.admit(1), Admission::New));
        let Admission::InFlight(mut waiting) = window.admit(1) else {
            panic!("not in flight")
        };
        window.complete(1, &Ok(()));
        assert_eq!(waiting.try_recv().unwrap(), Ok(()));
        assert!(matches!(window.admit(1), Admission::Durable));
    }

    #[test]
    fn a_failed_request_may_be_tried_again() {
        let (window, _) = window(10);
        assert!(matches!(window.admit(1), Admission::New));
        let Admission::InFlight(mut waiting) = window.admit(1) else {
            panic!("not in flight")
        };
        window.complete(1, &Err(AppendError::DiskFull));
        assert_eq!(waiting.try_recv().unwrap(), Err(AppendError::DiskFull));
        assert!(matches!(window.admit(1), Admission::New));
    }

    #[test]
    fn the_window_is_bounded_in_number() {
        let (window, _) = window(2);
        for hash in 1..=3 {
            assert!(window.replayed(hash));
        }
        assert!(!window.replayed(3));
        assert!(matches!(window.admit(1), Admission::New));
        assert!(matches!(window.admit(2), Admission::Durable));
    }

    #[test]
    fn the_window_is_bounded_in_time() {
        let (window, clock) = window(2);
        window.replayed(1);
        clock.advance(MAX_AGE);
        assert!(matches!(window.admit(1), Admission::Durable));
        clock.advance(Duration::from_nanos(1));
        assert!(matches!(window.admit(1), Admission::New));
    }
}
