//! Parameters of the metrics endpoints of the Tempo API.

use engine::{Grid, MAX_EXEMPLARS};
use storage::ids::InvalidTraceId;
use thiserror::Error;
use traceql::Dialect;

use crate::api::params::Params;
use crate::api::time::{ns_of_epoch_seconds, parse_rfc3339};
use crate::config::FrontendConfig;
use crate::duration::{format_ns, ns_of_seconds, parse_go, parse_prometheus};

pub(super) const SECOND_NS: i64 = 1_000_000_000;
const DEFAULT_SINCE_NS: i64 = 3600 * SECOND_NS;
/// Where the end cutoff leaves nothing, this much before now is queried.
const CUTOFF_FALLBACK_NS: i64 = 15 * 60 * SECOND_NS;

/// What a metrics request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricsParams {
    pub(super) query: String,
    pub(super) dialect: Dialect,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) max_series: Option<usize>,
    /// Most exemplars.
    pub(super) exemplars: usize,
    step_ns: Option<i64>,
}

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidParameter {
    #[error("missing parameter q: a TraceQL metrics query")]
    MissingQuery,
    #[error("invalid {name}: {value:?}: expected {expected}")]
    Unreadable {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("end must be greater than start: start={start_ns} end={end_ns}")]
    EndBeforeStart { start_ns: i64, end_ns: i64 },
    #[error("http parameter start must be before end. received start={start_ns} end={end_ns}")]
    EmptyRange { start_ns: i64, end_ns: i64 },
    #[error("step must be greater than zero")]
    ZeroStep,
    #[error(
        "step of {} is too small, minimum step for given range is {} \
         (query_frontend.metrics.max_intervals)",
        format_ns(*step_ns), format_ns(*minimum_ns)
    )]
    StepTooSmall { step_ns: i64, minimum_ns: i64 },
    #[error(transparent)]
    TraceId(#[from] InvalidTraceId),
    #[error(
        "invalid start and end: only one of start and end provided: must provide both or neither"
    )]
    OneEnd,
    #[error("invalid request: can't specify tags and q in the same query")]
    TwoQueries,
    #[error(
        "minDuration and maxDuration go with tags only: write traceDuration into the query instead"
    )]
    DurationBesideQuery,
    #[error("invalid tags: tag {0} has been set twice")]
    RepeatedTag(String),
    #[error("invalid maxDuration: must be greater than minDuration")]
    DurationBounds,
    #[error("limit {limit} exceeds max limit {max} (query_frontend.search.max_result_limit)")]
    Limit { limit: usize, max: usize },
    #[error(
        "spans per span set exceeds {max}. received {spans} \
         (query_frontend.search.max_spans_per_span_set)"
    )]
    SpansPerSpanset { spans: usize, max: usize },
    #[error(
        "search time range exceeds the maximum allowed duration of {} \
         (query_frontend.search.max_duration)",
        format_ns(*limit_ns)
    )]
    RangeTooLong { limit_ns: i64 },
    #[error("invalid scope: {0}")]
    Scope(String),
    #[error("please provide a valid tagName: {0}")]
    TagName(String),
    #[error("time range is outside of what 64-bit nanoseconds since 1970 can express")]
    OutOfRange,
}

impl MetricsParams {
    pub(super) fn parse(
        params: &Params,
        config: &FrontendConfig,
        now_ns: i64,
    ) -> Result<Self, InvalidParameter> {
        let query = params.get("q").or_else(|| params.get("query"));
        let query = query.ok_or(InvalidParameter::MissingQuery)?.to_owned();
        let dialect = dialect(params)?;
        let (start_ns, end_ns) = range(params, now_ns)?;
        if start_ns > end_ns {
            return Err(InvalidParameter::EndBeforeStart { start_ns, end_ns });
        }
        let (start_ns, end_ns) = cut_off(
            start_ns,
            end_ns,
            config.query_frontend.query_end_cutoff.as_ns(),
            now_ns,
        );
        if start_ns >= end_ns {
            return Err(InvalidParameter::EmptyRange { start_ns, end_ns });
        }
        let step_ns = params.get("step").map(step).transpose()?;
        // Tempo ignores a malformed limit, too: the answer is complete either way.
        let max_series = params.get("maxSeries").and_then(|text| text.parse().ok());
        // 0 is what clients send that do not say.
        let exemplars = params.get("exemplars").and_then(|text| text.parse().ok());
        let exemplars = exemplars.filter(|count| *count > 0);
        Ok(Self {
            query,
            dialect,
            start_ns,
            end_ns,
            max_series,
            exemplars: exemplars.unwrap_or(MAX_EXEMPLARS),
            step_ns,
        })
    }

    /// The grid of a range query, aligned to the step.
    pub(super) fn range_grid(&self, config: &FrontendConfig) -> Result<Grid, InvalidParameter> {
        let range_ns = self
            .end_ns
            .checked_sub(self.start_ns)
            .ok_or(InvalidParameter::OutOfRange)?;
        let step_ns = self.step_ns.unwrap_or_else(|| default_step(range_ns));
        if step_ns <= 0 {
            return Err(InvalidParameter::ZeroStep);
        }
        let max = config.query_frontend.metrics.max_intervals;
        let max = i64::try_from(max).unwrap_or(i64::MAX).max(1);
        if range_ns / step_ns > max {
            // Rounded up to what people write: a whole millisecond.
            let minimum_ns = (range_ns / max).saturating_add(999_999) / 1_000_000 * 1_000_000;
            return Err(InvalidParameter::StepTooSmall {
                step_ns,
                minimum_ns,
            });
        }
        Grid::aligned(self.start_ns, self.end_ns, step_ns).ok_or(InvalidParameter::OutOfRange)
    }

    /// The one interval of an instant query, as asked for.
    pub(super) fn instant_grid(&self) -> Result<Grid, InvalidParameter> {
        Grid::instant(self.start_ns, self.end_ns).ok_or(InvalidParameter::OutOfRange)
    }
}

pub(super) fn dialect(params: &Params) -> Result<Dialect, InvalidParameter> {
    match params.get("dialect") {
        None => Ok(Dialect::default()),
        Some(name) => {
            Dialect::from_name(name).ok_or_else(|| unreadable("dialect", name, "spandrel or tempo"))
        }
    }
}

fn range(params: &Params, now_ns: i64) -> Result<(i64, i64), InvalidParameter> {
    let since_ns = since(params)?.unwrap_or(DEFAULT_SINCE_NS);
    let start = params
        .get("start")
        .map(|text| time("start", text))
        .transpose()?;
    let end = params
        .get("end")
        .map(|text| time("end", text))
        .transpose()?;
    let end_ns = end.unwrap_or(now_ns);
    let start_ns = start.unwrap_or_else(|| end_ns.min(now_ns).saturating_sub(since_ns));
    Ok((start_ns, end_ns))
}

/// The length of the range up to now, if the request says it so.
pub(super) fn since(params: &Params) -> Result<Option<i64>, InvalidParameter> {
    let parse = |text| {
        parse_prometheus(text)
            .or_else(|| parse_go(text))
            .filter(|ns| *ns > 0)
            .ok_or_else(|| {
                unreadable(
                    "since",
                    text,
                    "a duration such as 15m or 1d, greater than zero",
                )
            })
    };
    params.get("since").map(parse).transpose()
}

/// Leaves out the newest part of the range.
pub(super) fn cut_off(start_ns: i64, end_ns: i64, cutoff_ns: i64, now_ns: i64) -> (i64, i64) {
    if cutoff_ns == 0 {
        return (start_ns, end_ns);
    }
    let end_ns = end_ns.min(now_ns.saturating_sub(cutoff_ns));
    let start_ns = if start_ns > end_ns {
        now_ns.saturating_sub(CUTOFF_FALLBACK_NS)
    } else {
        start_ns
    };
    (start_ns, end_ns)
}

/// Epoch seconds of up to ten characters, nanoseconds of more, seconds with a fraction, or RFC 3339.
pub(super) fn time(name: &'static str, text: &str) -> Result<i64, InvalidParameter> {
    let parsed = if let Ok(number) = text.parse::<i64>() {
        if text.len() <= 10 {
            number.checked_mul(SECOND_NS)
        } else {
            Some(number)
        }
    } else if let Ok(seconds) = text.parse::<f64>() {
        ns_of_epoch_seconds(seconds)
    } else {
        parse_rfc3339(text)
    };
    parsed.ok_or_else(|| {
        unreadable(
            name,
            text,
            "epoch seconds, epoch nanoseconds, or a time in RFC 3339",
        )
    })
}

fn step(text: &str) -> Result<i64, InvalidParameter> {
    let ns = match text.parse::<f64>() {
        Ok(seconds) => ns_of_seconds(seconds),
        Err(_) => parse_go(text),
    };
    match ns {
        Some(ns) if ns > 0 => Ok(ns),
        Some(_) => Err(InvalidParameter::ZeroStep),
        None => Err(unreadable(
            "step",
            text,
            "seconds, or a duration such as 15s or 500ms",
        )),
    }
}

pub(super) fn unreadable(
    name: &'static str,
    value: &str,
    expected: &'static str,
) -> InvalidParameter {
    /// A value may be as long as a URL; an error shows its start.
    const SHOWN: usize = 64;
    let value = value.chars().take(SHOWN).collect();
    InvalidParameter::Unreadable {
        name,
        value,
        expected,
    }
}

/// About 240 intervals, each of a length that people use.
pub(in crate::api) fn default_step(range_ns: i64) -> i64 {
    const MILLISECOND_NS: i64 = 1_000_000;
    const UNITS_S: [i64; 6] = [3600, 300, 60, 15, 5, 1];
    let ideal = range_ns / 240;
    if range_ns < 60 * SECOND_NS {
        let unit = 50 * MILLISECOND_NS;
        return if ideal <= unit {
            unit
        } else {
            ideal / unit * unit
        };
    }
    let unit = UNITS_S
        .into_iter()
        .map(|unit| unit * SECOND_NS)
        .find(|unit| ideal > *unit);
    unit.map_or(SECOND_NS, |unit| ideal / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND_NS;

    fn parse<const N: usize>(params: [(&str, &str); N]) -> Result<MetricsParams, InvalidParameter> {
        let query = ("q", "{} | rate()");
        let params: Params = params.into_iter().chain([query]).collect();
        MetricsParams::parse(&params, &FrontendConfig::default(), NOW)
    }

    fn range<const N: usize>(params: [(&str, &str); N]) -> (i64, i64) {
        let params = parse(params).unwrap();
        (params.start_ns, params.end_ns)
    }

    #[test]
    fn default_steps() {
        let minute = 60;
        let hour = 3600;
        let day = 24 * hour;
        for (range_s, step_ms) in [
            (10, 50),
            (30, 100),
            (minute, 1000),
            (5 * minute, 1000),
            (15 * minute, 3000),
            (30 * minute, 5000),
            (hour, 15_000),
            (3 * hour, 45_000),
            (6 * hour, 60_000),
            (12 * hour, 180_000),
            (day, 300_000),
            (2 * day, 600_000),
            (7 * day, 2_400_000),
            (30 * day, 10_800_000),
        ] {
            assert_eq!(
                default_step(range_s * SECOND_NS),
                step_ms * 1_000_000,
                "{range_s} s"
            );
        }
    }

    #[test]
    fn times_in_every_form() {
        let expected = (1_600_000_000 * SECOND_NS, 1_600_000_060 * SECOND_NS);
        assert_eq!(
            range([("start", "1600000000"), ("end", "1600000060")]),
            expected
        );
        assert_eq!(
            range([("start", "1600000000.0"), ("end", "1600000060000000000")]),
            expected
        );
        let texts = [
            ("start", "2020-09-13T12:26:40Z"),
            ("end", "2020-09-13T14:27:40+02:00"),
        ];
        assert_eq!(range(texts), expected);
    }

    #[test]
    fn missing_times() {
        assert_eq!(range([]), (NOW - 3600 * SECOND_NS, NOW));
        assert_eq!(range([("since", "5m")]), (NOW - 300 * SECOND_NS, NOW));
        let end = NOW - 100 * SECOND_NS;
        assert_eq!(
            range([("end", "1699999900"), ("since", "1m")]),
            (end - 60 * SECOND_NS, end)
        );
        assert_eq!(range([("start", "1699999900")]), (end, NOW));
        let future = NOW + 100 * SECOND_NS;
        assert_eq!(
            range([("end", "1700000100")]),
            (NOW - 3600 * SECOND_NS, future)
        );
    }

    #[test]
    fn bad_parameters_are_named() {
        for (params, part) in [
            (
                [("start", "yesterday"), ("end", "5")],
                "invalid start: \"yesterday\"",
            ),
            ([("start", "1"), ("end", "x")], "invalid end: \"x\""),
            ([("since", "x"), ("end", "5")], "invalid since: \"x\""),
            (
                [("start", "9"), ("end", "5")],
                "end must be greater than start",
            ),
            (
                [("start", "5"), ("end", "5")],
                "http parameter start must be before end",
            ),
            (
                [("step", "0"), ("end", "5")],
                "step must be greater than zero",
            ),
            ([("step", "x"), ("end", "5")], "invalid step: \"x\""),
            (
                [("dialect", "promql"), ("end", "5")],
                "invalid dialect: \"promql\": expected spandrel or tempo",
            ),
            ([("step", "NaN"), ("end", "5")], "invalid step: \"NaN\""),
        ] {
            let error = parse(params).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let none = MetricsParams::parse(&Params::default(), &FrontendConfig::default(), NOW);
        assert_eq!(none, Err(InvalidParameter::MissingQuery));
    }

    #[test]
    fn intervals_are_bounded() {
        let config = FrontendConfig::default();
        let params = parse([("start", "0"), ("end", "10000"), ("step", "1")]).unwrap();
        assert_eq!(params.range_grid(&config).unwrap().intervals, 10_001);
        let params = parse([("start", "0"), ("end", "10001"), ("step", "1")]).unwrap();
        assert_eq!(
            params.range_grid(&config).unwrap_err().to_string(),
            "step of 1s is too small, minimum step for given range is 1.001s \
             (query_frontend.metrics.max_intervals)"
        );
        let params = parse([("start", "0"), ("end", "2678400"), ("step", "1ns")]).unwrap();
        assert!(params.range_grid(&config).is_err());
    }

    #[test]
    fn the_end_cutoff_hides_the_newest_part() {
        let cutoff = 30 * SECOND_NS;
        assert_eq!(cut_off(0, NOW, 0, NOW), (0, NOW));
        assert_eq!(cut_off(0, NOW, cutoff, NOW), (0, NOW - cutoff));
        assert_eq!(cut_off(0, 10, cutoff, NOW), (0, 10));
        let recent = NOW - SECOND_NS;
        assert_eq!(
            cut_off(recent, NOW, cutoff, NOW),
            (NOW - CUTOFF_FALLBACK_NS, NOW - cutoff)
        );
    }
}
