//! What is refused before work starts, and when it is given up.

use std::time::Duration;

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
}
