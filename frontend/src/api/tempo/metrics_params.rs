//! Parameters of the metrics endpoints.

use engine::{Grid, MAX_EXEMPLARS};
use traceql::Dialect;

use super::invalid::{InvalidParameter, unreadable};
use super::params::{SECOND_NS, cut_off, dialect, since, time};
use crate::api::params::Params;
use crate::api::step::default_step;
use crate::config::FrontendConfig;
use crate::duration::{ns_of_seconds, parse_go};

const DEFAULT_SINCE_NS: i64 = 3600 * SECOND_NS;

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
}
