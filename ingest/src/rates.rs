//! How much each tenant may send a second: token buckets of bytes and of spans.
//!
//! A bucket holds a burst and fills up at the rate. A request takes its bytes, decompressed, and its
//! spans out of both buckets of its tenant or, if there is not enough in one of them, out of none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storage::Clock;
use storage::ids::TenantId;

use crate::config::RatesConfig;
use crate::error::PushError;

const NS_PER_S: u128 = 1_000_000_000;
/// How many tenants are remembered at least before those with full buckets are forgotten.
const FEW_TENANTS: usize = 1024;

/// How much of its tenant's buckets a request takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) bytes: u64,
    pub(crate) spans: u64,
}

/// The buckets of all tenants.
#[derive(Debug)]
pub(crate) struct Rates {
    bytes: Option<Limit>,
    spans: Option<Limit>,
    tenants: Mutex<Tenants>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Tenants {
    buckets: HashMap<TenantId, Buckets>,
    /// How many there may be until the next look for some to forget.
    enough: usize,
}

#[derive(Debug, Clone, Copy)]
struct Buckets {
    bytes: Bucket,
    spans: Bucket,
}

/// The size of a bucket and how fast it fills.
#[derive(Debug, Clone, Copy)]
struct Limit {
    what: &'static str,
    per_second: u64,
    rate_key: &'static str,
    burst: u64,
    burst_key: &'static str,
}

/// How full a bucket was at a time, in billionths, so that no part of a second is lost.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u128,
    at: Instant,
}

impl Rates {
    /// Full buckets for everyone.
    pub(crate) fn new(config: &RatesConfig, clock: Arc<dyn Clock>) -> Self {
        let limit = |limit: Limit| (limit.per_second > 0).then_some(limit);
        Self {
            bytes: limit(Limit {
                what: "bytes",
                per_second: config.rate_limit_bytes,
                rate_key: "overrides.defaults.ingestion.rate_limit_bytes",
                burst: config.burst_size_bytes,
                burst_key: "overrides.defaults.ingestion.burst_size_bytes",
            }),
            spans: limit(Limit {
                what: "spans",
                per_second: config.rate_limit_spans,
                rate_key: "overrides.defaults.ingestion.rate_limit_spans",
                burst: config.burst_size_spans,
                burst_key: "overrides.defaults.ingestion.burst_size_spans",
            }),
            tenants: Mutex::new(Tenants {
                buckets: HashMap::new(),
                enough: FEW_TENANTS,
            }),
            clock,
        }
    }

    /// Takes what a request needs out of its tenant's buckets.
    ///
    /// # Errors
    /// There is not enough in one of them, now or ever.
    pub(crate) fn take(&self, tenant: &TenantId, load: Load) -> Result<(), PushError> {
        if self.bytes.is_none() && self.spans.is_none() {
            return Ok(());
        }
        let now = self.clock.instant();
        let full = Buckets {
            bytes: Bucket::full(self.bytes, now),
            spans: Bucket::full(self.spans, now),
        };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let before = tenants.buckets.get(tenant).copied().unwrap_or(full);
        let after = Buckets {
            bytes: before.bytes.take(self.bytes, load.bytes, now)?,
            spans: before.spans.take(self.spans, load.spans, now)?,
        };
        tenants.buckets.insert(tenant.clone(), after);
        if tenants.buckets.len() > tenants.enough {
            // A bucket that is full again is like one that never was.
            tenants.buckets.retain(|_, buckets| {
                let fills =
                    |bucket: &Bucket, limit| bucket.level_at(limit, now) < full_level(limit);
                fills(&buckets.bytes, self.bytes) || fills(&buckets.spans, self.spans)
            });
            tenants.enough = FEW_TENANTS.max(tenants.buckets.len() * 2);
        }
        Ok(())
    }
}

impl Bucket {
    fn full(limit: Option<Limit>, now: Instant) -> Self {
        Self {
            level: full_level(limit),
            at: now,
        }
    }

    fn level_at(&self, limit: Option<Limit>, now: Instant) -> u128 {
        let rate = limit.map_or(0, |limit| u128::from(limit.per_second));
        let filled = now.saturating_duration_since(self.at).as_nanos() * rate;
        (self.level + filled).min(full_level(limit))
    }

    /// The bucket without this many of its content.
    fn take(self, limit: Option<Limit>, wanted: u64, now: Instant) -> Result<Self, PushError> {
        let Some(limit) = limit else {
            return Ok(self);
        };
        if wanted > limit.burst {
            return Err(PushError::LargerThanBurst {
                observed: wanted,
                what: limit.what,
                limit: limit.burst,
                key: limit.burst_key,
            });
        }
        let level = self.level_at(Some(limit), now);
        let wanted = u128::from(wanted) * NS_PER_S;
        match level.checked_sub(wanted) {
            // Two requests may get here in another order than they looked at the clock.
            Some(level) => Ok(Self {
                level,
                at: now.max(self.at),
            }),
            None => {
                let wait_ns = (wanted - level).div_ceil(u128::from(limit.per_second));
                Err(PushError::RateLimited {
                    what: limit.what,
                    limit: limit.per_second,
                    key: limit.rate_key,
                    retry_after: whole_seconds(wait_ns),
                })
            }
        }
    }
}

fn full_level(limit: Option<Limit>) -> u128 {
    limit.map_or(0, |limit| u128::from(limit.burst) * NS_PER_S)
}

/// Rounded up: HTTP knows no part of a second, and too early would be in vain.
fn whole_seconds(ns: u128) -> Duration {
    Duration::from_secs(u64::try_from(ns.div_ceil(NS_PER_S)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use testkit::clock::TestClock;

    use super::*;

    /// 100 bytes a second and 250 at once, 10 spans a second and 20 at once.
    fn rates() -> (Rates, Arc<TestClock>) {
        with(&RatesConfig {
            rate_limit_bytes: 100,
            burst_size_bytes: 250,
            rate_limit_spans: 10,
            burst_size_spans: 20,
        })
    }

    fn with(config: &RatesConfig) -> (Rates, Arc<TestClock>) {
        let clock = TestClock::at(0);
        (Rates::new(config, Arc::clone(&clock) as _), clock)
    }

    fn load(bytes: u64, spans: u64) -> Load {
        Load { bytes, spans }
    }

    fn waits(result: Result<(), PushError>) -> (&'static str, u64) {
        match result {
            Err(PushError::RateLimited {
                key, retry_after, ..
            }) => (key.rsplit_once('.').unwrap().1, retry_after.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_burst_is_followed_by_the_rate() {
        let (rates, clock) = rates();
        let take = |bytes| rates.take(&TenantId::single(), load(bytes, 0));
        let pass = |ms| clock.advance(Duration::from_millis(ms));
        take(250).unwrap();
        assert_eq!(waits(take(1)), ("rate_limit_bytes", 1));
        assert_eq!(waits(take(250)), ("rate_limit_bytes", 3));
        pass(1000);
        take(100).unwrap();
        // What is told is when it works, to the second.
        pass(1);
        assert_eq!(waits(take(150)), ("rate_limit_bytes", 2));
        pass(1499);
        take(150).unwrap();
        // An idle tenant saves up no more than a burst.
        pass(2499);
        assert_eq!(waits(take(250)), ("rate_limit_bytes", 1));
        pass(1);
        take(250).unwrap();
        pass(55_000);
        take(250).unwrap();
        assert_eq!(waits(take(1)), ("rate_limit_bytes", 1));
    }

    #[test]
    fn spans_count_as_bytes_do_and_a_refusal_takes_nothing() {
        let ((rates, _), tenant) = (rates(), TenantId::single());
        rates.take(&tenant, load(100, 15)).unwrap();
        assert_eq!(
            waits(rates.take(&tenant, load(100, 15))),
            ("rate_limit_spans", 1)
        );
        rates.take(&tenant, load(150, 5)).unwrap();
    }

    #[test]
    fn what_no_bucket_can_hold_is_refused_for_good() {
        let ((rates, _), tenant) = (rates(), TenantId::single());
        let error = rates.take(&tenant, load(251, 1)).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
        assert_eq!(
            error.to_string(),
            "err-larger-than-burst: the request has 251 bytes, and a tenant may send 250 at once \
             (limit overrides.defaults.ingestion.burst_size_bytes)"
        );
        rates.take(&tenant, load(250, 20)).unwrap();
    }

    #[test]
    fn tenants_do_not_pay_for_each_other_and_are_forgotten_when_idle() {
        let (rates, clock) = rates();
        for number in 0..5 * FEW_TENANTS {
            let tenant: TenantId = format!("tenant-{number}").parse().unwrap();
            rates.take(&tenant, load(250, 0)).unwrap();
            waits(rates.take(&tenant, load(250, 0)));
            clock.advance(Duration::from_millis(1));
        }
        // The last 2500 are still filling up; of the others some are not forgotten yet.
        let remembered = rates.tenants.lock().unwrap().buckets.len();
        assert!((2500..=5000).contains(&remembered), "{remembered}");
    }

    #[test]
    fn no_number_overflows() {
        let (rates, clock) = with(&RatesConfig {
            rate_limit_bytes: u64::MAX,
            burst_size_bytes: u64::MAX,
            rate_limit_spans: 1,
            burst_size_spans: u64::MAX,
        });
        let tenant = TenantId::single();
        rates.take(&tenant, load(u64::MAX, u64::MAX)).unwrap();
        clock.advance(Duration::from_secs(1 << 33));
        let (key, seconds) = waits(rates.take(&tenant, load(1, u64::MAX)));
        assert_eq!((key, seconds), ("rate_limit_spans", u64::MAX - (1 << 33)));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let (rates, _) = with(&RatesConfig::default());
        let tenant = TenantId::single();
        for _ in 0..10 {
            let all = load(u64::MAX, u64::MAX);
            rates.take(&tenant, all).unwrap();
        }
        assert!(rates.tenants.lock().unwrap().buckets.is_empty());
    }
}
