//! What is refused before work starts, and how many queries run at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use storage::ids::TenantId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::FrontendConfig;
use crate::error::QueryError;

/// Refuses a time range that is longer than allowed. The range is the one asked for, before it is
/// aligned to the step: whoever may ask for 24 h may ask for exactly that.
///
/// # Errors
/// [`QueryError::RangeTooLong`].
pub fn check_range(config: &FrontendConfig, start_ns: i64, end_ns: i64) -> Result<(), QueryError> {
    let max = config.query_frontend.metrics.max_duration;
    match max.limit() {
        Some(_) if end_ns.saturating_sub(start_ns) > max.as_ns() => Err(QueryError::RangeTooLong {
            limit_ns: max.as_ns(),
        }),
        _ => Ok(()),
    }
}

/// The time that a query may take, and the key of the setting that decides it.
#[must_use]
pub(crate) fn deadline(
    config: &FrontendConfig,
    requested: Option<Duration>,
) -> Option<(Duration, &'static str)> {
    let settings = [
        (requested, "request parameter timeout"),
        (
            config.querier.search.query_timeout.limit(),
            "querier.search.query_timeout",
        ),
        (
            config.query_frontend.api_timeout.limit(),
            "query_frontend.api_timeout",
        ),
    ];
    settings
        .into_iter()
        .filter_map(|(limit, key)| Some((limit?, key)))
        .min_by_key(|(limit, _)| *limit)
}

/// Lets a bounded number of queries run, and a bounded number per tenant wait for their turn.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Semaphore,
    waiting: Mutex<HashMap<TenantId, usize>>,
    max_waiting: usize,
}

impl Admission {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        let max_running = max_running.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            running: Semaphore::new(max_running),
            waiting: Mutex::default(),
            max_waiting,
        }
    }

    /// Waits for a turn, in order of arrival. Dropping the future gives up the place in the queue,
    /// dropping the permit ends the turn.
    pub(crate) async fn enter(&self, tenant: &TenantId) -> Result<SemaphorePermit<'_>, QueryError> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _place = self.queue(tenant)?;
        self.running
            .acquire()
            .await
            .map_err(|_closed| QueryError::Internal("admission is closed"))
    }

    fn queue(&self, tenant: &TenantId) -> Result<Place<'_>, QueryError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(tenant.clone()).or_insert(0);
        if *count >= self.max_waiting {
            return Err(QueryError::QueueFull {
                tenant: tenant.clone(),
                limit: self.max_waiting,
            });
        }
        *count += 1;
        Ok(Place {
            admission: self,
            tenant: tenant.clone(),
        })
    }
}

/// A place in the queue of a tenant.
struct Place<'a> {
    admission: &'a Admission,
    tenant: TenantId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self
            .admission
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
            // Tenants are many over time; only those that wait are remembered.
            if *count == 0 {
                waiting.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::GoDuration;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn a_range_may_be_exactly_as_long_as_allowed() {
        let mut config = FrontendConfig::default();
        assert!(check_range(&config, 0, i64::MAX).is_ok());
        config.query_frontend.metrics.max_duration = GoDuration::from_secs(24 * 3600);
        assert!(check_range(&config, 0, 24 * HOUR).is_ok());
        let error = check_range(&config, 0, 24 * HOUR + 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metrics query time range exceeds the maximum allowed duration of 24h0m0s \
             (query_frontend.metrics.max_duration)"
        );
    }

    #[test]
    fn the_shortest_timeout_decides() {
        let mut config = FrontendConfig::default();
        assert_eq!(
            deadline(&config, None).unwrap().1,
            "querier.search.query_timeout"
        );
        let requested = Duration::from_secs(1);
        assert_eq!(deadline(&config, Some(requested)).unwrap().0, requested);
        config.query_frontend.api_timeout = GoDuration::from_secs(2);
        assert_eq!(
            deadline(&config, None).unwrap().1,
            "query_frontend.api_timeout"
        );
        config.query_frontend.api_timeout = GoDuration::ZERO;
        config.querier.search.query_timeout = GoDuration::ZERO;
        assert_eq!(deadline(&config, None), None);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_frees_itself() {
        let admission = Admission::new(1, 1);
        let tenant = TenantId::single();
        let turn = admission.enter(&tenant).await.unwrap();
        let mut second = Box::pin(admission.enter(&tenant));
        assert!(futures::poll!(&mut second).is_pending());

        let refused = admission.enter(&tenant).await.unwrap_err();
        assert!(
            refused.to_string().starts_with("job queue full"),
            "{refused}"
        );
        let other: TenantId = "other".parse().unwrap();
        let mut third = Box::pin(admission.enter(&other));
        assert!(
            futures::poll!(&mut third).is_pending(),
            "each tenant has a queue of its own"
        );

        // A client that goes away frees its place.
        drop(second);
        let mut second = Box::pin(admission.enter(&tenant));
        assert!(futures::poll!(&mut second).is_pending());
        drop(turn);
        assert!(third.await.is_ok());
        assert!(second.await.is_ok());
        assert!(admission.waiting.lock().unwrap().is_empty());
    }
}
