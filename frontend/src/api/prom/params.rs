//! Parameters in Prometheus' grammar.

use std::time::Duration;

use engine::Grid;
use traceql::Dialect;

use super::envelope::ApiError;
use crate::api::params::Params;
use crate::api::time::{ns_of_epoch_seconds, parse_rfc3339};
use crate::duration::{ns_of_seconds, parse_prometheus};

/// Grafana sizes its steps for this many points, so it is no setting.
const MAX_POINTS: i64 = 11_000;

/// `start`, `end` and `step` of a range query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) grid: Grid,
}

pub(super) fn query(params: &Params) -> Result<&str, ApiError> {
    let missing = "unknown position: parse error: no expression found in input";
    params
        .get("query")
        .ok_or_else(|| ApiError::parameter("query", missing))
}

pub(super) fn range(params: &Params) -> Result<Range, ApiError> {
    let required = |name| time(params, name)?.ok_or_else(|| bad_time(name, ""));
    let (start_ns, end_ns) = (required("start")?, required("end")?);
    if end_ns < start_ns {
        let problem = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", problem));
    }
    let step_ns = duration(params, "step")?.ok_or_else(|| bad_duration("step", ""))?;
    if step_ns <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. \
             Try a positive integer",
        ));
    }
    if end_ns.saturating_sub(start_ns) / step_ns > MAX_POINTS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    let grid = Grid::of_samples(start_ns, end_ns, step_ns)
        .ok_or_else(|| ApiError::parameter("start", "time range is out of bounds"))?;
    Ok(Range {
        start_ns,
        end_ns,
        grid,
    })
}

/// A time in ns since the epoch, clamped to what 64 bits hold: clients probe with milliseconds.
pub(super) fn time(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => ns_of_epoch_seconds(seconds),
        Err(_) => parse_rfc3339(text),
    };
    parsed.map(Some).ok_or_else(|| bad_time(name, text))
}

/// A duration in ns, which may be zero or negative.
pub(super) fn duration(params: &Params, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => ns_of_seconds(seconds),
        Err(_) => parse_prometheus(text),
    };
    parsed.map(Some).ok_or_else(|| bad_duration(name, text))
}

pub(super) fn timeout(params: &Params) -> Result<Option<Duration>, ApiError> {
    let Some(ns) = duration(params, "timeout")? else {
        return Ok(None);
    };
    match u64::try_from(ns) {
        Ok(ns @ 1..) => Ok(Some(Duration::from_nanos(ns))),
        _ => Err(ApiError::parameter("timeout", "must be greater than zero")),
    }
}

/// Which TraceQL a query is in.
pub(super) fn dialect(params: &Params) -> Result<Dialect, ApiError> {
    match params.get("dialect") {
        None => Ok(Dialect::default()),
        Some(name) => Dialect::from_name(name)
            .ok_or_else(|| ApiError::parameter("dialect", "use spandrel or tempo")),
    }
}

/// `None` for no limit.
pub(super) fn limit(params: &Params) -> Result<Option<usize>, ApiError> {
    let Some(text) = params.get("limit") else {
        return Ok(None);
    };
    let problem = || format!("cannot parse {:?} to an integer of at least 0", shown(text));
    let limit: usize = text
        .parse()
        .map_err(|_| ApiError::parameter("limit", problem()))?;
    Ok((limit > 0).then_some(limit))
}

fn bad_time(name: &str, text: &str) -> ApiError {
    let problem = format!(
        "cannot parse {:?} to a valid timestamp: expected seconds since 1970 or RFC 3339",
        shown(text)
    );
    ApiError::parameter(name, problem)
}

fn bad_duration(name: &str, text: &str) -> ApiError {
    let problem = format!(
        "cannot parse {:?} to a valid duration: expected seconds or, for example, 1h30m",
        shown(text)
    );
    ApiError::parameter(name, problem)
}

/// A value may be as long as a request; an error shows its start.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    const S: i64 = 1_000_000_000;

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().copied().collect()
    }

    #[test]
    fn ranges() {
        let range = range(&params(&[("start", "10"), ("end", "25.5"), ("step", "5")])).unwrap();
        assert_eq!((range.start_ns, range.end_ns), (10 * S, 25_500_000_000));
        let samples: Vec<i64> = (0..range.grid.intervals)
            .map(|i| range.grid.sample_ns(i))
            .collect();
        assert_eq!(samples, [10 * S, 15 * S, 20 * S, 25 * S]);
    }

    #[test]
    fn bad_ranges_are_named() {
        for (start, end, step, part) in [
            (
                "",
                "2",
                "1",
                "invalid parameter \"start\": cannot parse \"\"",
            ),
            (
                "1",
                "x",
                "1",
                "invalid parameter \"end\": cannot parse \"x\"",
            ),
            (
                "2",
                "1",
                "1",
                "invalid parameter \"end\": end timestamp must not be before",
            ),
            (
                "1",
                "2",
                "",
                "invalid parameter \"step\": cannot parse \"\"",
            ),
            (
                "1",
                "2",
                "0",
                "zero or negative query resolution step widths",
            ),
            (
                "1",
                "2",
                "-5",
                "zero or negative query resolution step widths",
            ),
            (
                "1",
                "2",
                "NaN",
                "invalid parameter \"step\": cannot parse \"NaN\"",
            ),
            (
                "0",
                "11001",
                "1",
                "exceeded maximum resolution of 11,000 points",
            ),
            (
                "-9223372036854",
                "-9223372036854",
                "1",
                "time range is out of bounds",
            ),
        ] {
            let pairs = params(&[("start", start), ("end", end), ("step", step)]);
            let error = range(&pairs).unwrap_err();
            assert!(
                format!("{error:?}").replace('\\', "").contains(part),
                "{error:?}"
            );
            assert_eq!(error.into_response().status(), 400);
        }
        let most = params(&[("start", "0"), ("end", "11000"), ("step", "1")]);
        assert_eq!(range(&most).unwrap().grid.intervals, 11_001);
    }

    #[test]
    fn times_and_durations() {
        let all = params(&[
            ("ms", "1724000000000"),
            ("float", "1435781430.781"),
            ("exponent", "1.4e9"),
            ("rfc", "2015-07-01T20:10:30.781Z"),
            ("timeout", "60s"),
            ("limit", "0"),
        ]);
        assert_eq!(time(&all, "ms").unwrap(), Some(i64::MAX));
        assert_eq!(
            time(&all, "float").unwrap(),
            Some(1_435_781_430_781_000_000)
        );
        assert_eq!(time(&all, "exponent").unwrap(), Some(1_400_000_000 * S));
        assert_eq!(time(&all, "rfc").unwrap(), Some(1_435_781_430_781_000_000));
        assert_eq!(time(&all, "missing").unwrap(), None);
        assert_eq!(timeout(&all).unwrap(), Some(Duration::from_secs(60)));
        assert_eq!(limit(&all).unwrap(), None);
        assert!(limit(&params(&[("limit", "-1")])).is_err());
        assert_eq!(dialect(&all).unwrap(), Dialect::Spandrel);
        let tempo = params(&[("dialect", "tempo")]);
        assert_eq!(dialect(&tempo).unwrap(), Dialect::Tempo);
        assert!(dialect(&params(&[("dialect", "Tempo")])).is_err());
        assert!(timeout(&params(&[("timeout", "0")])).is_err());
        assert!(time(&params(&[("time", "inf")]), "time").is_err());
    }
}
