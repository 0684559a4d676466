//! Parameters of `/api/search`.

use traceql::Dialect;

use super::invalid::{InvalidParameter, unreadable};
use super::legacy;
use super::params::{SECOND_NS, dialect};
use super::window::Window;
use crate::api::params::Params;
use crate::config::FrontendConfig;

/// What a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchParams {
    pub(super) query: String,
    pub(super) dialect: Dialect,
    pub(super) window: Window,
    pub(super) limit: usize,
    pub(super) spans_per_spanset: usize,
}

impl SearchParams {
    pub(super) fn parse(
        params: &Params,
        config: &FrontendConfig,
        now_ns: i64,
    ) -> Result<Self, InvalidParameter> {
        let search = &config.query_frontend.search;
        let query = match (params.get("q"), params.get("tags")) {
            (Some(_), Some(_)) => return Err(InvalidParameter::TwoQueries),
            (Some(query), None) => {
                if legacy::durations(params)? != (None, None) {
                    return Err(InvalidParameter::DurationBesideQuery);
                }
                query.to_owned()
            }
            (None, _) => legacy::query(params)?,
        };
        let window = Window::parse(params, config, now_ns, seconds)?;
        let length_ns = window.end_ns.saturating_sub(window.start_ns);
        let max = search.max_duration;
        // Whole seconds at the end are taken whole, and are not what was asked for.
        if max.limit().is_some() && length_ns >= max.as_ns().saturating_add(SECOND_NS) {
            return Err(InvalidParameter::RangeTooLong {
                limit_ns: max.as_ns(),
            });
        }
        let limit = count(params, "limit")?.unwrap_or(search.default_result_limit);
        if limit == 0 {
            return Err(unreadable("limit", "0", "a number greater than zero"));
        }
        if exceeds(limit, search.max_result_limit) {
            let max = search.max_result_limit;
            return Err(InvalidParameter::Limit { limit, max });
        }
        let spans = count(params, "spss")?.unwrap_or(search.default_spans_per_span_set);
        if exceeds(spans, search.max_spans_per_span_set) {
            let max = search.max_spans_per_span_set;
            return Err(InvalidParameter::SpansPerSpanset { spans, max });
        }
        Ok(Self {
            query,
            dialect: dialect(params)?,
            window,
            limit,
            spans_per_spanset: if spans == 0 { usize::MAX } else { spans },
        })
    }
}

/// Whether a number is over a limit, of which 0 is none.
const fn exceeds(number: usize, max: usize) -> bool {
    max > 0 && number > max
}

/// Seconds since the epoch, which this endpoint takes in no other form.
fn seconds(name: &'static str, text: &str) -> Result<i64, InvalidParameter> {
    let seconds = text.parse::<u32>().ok().map(i64::from);
    let ns = seconds.and_then(|seconds| seconds.checked_mul(SECOND_NS));
    ns.ok_or_else(|| unreadable(name, text, "whole seconds since 1970"))
}

/// A whole number.
fn count(params: &Params, name: &'static str) -> Result<Option<usize>, InvalidParameter> {
    let parse = |text: &str| {
        let count = text.parse::<u32>().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| unreadable(name, text, "a whole number"))
    };
    params.get(name).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::GoDuration;

    const NOW: i64 = 1_700_000_000 * SECOND_NS;

    fn parse<const N: usize>(params: [(&str, &str); N]) -> Result<SearchParams, String> {
        let params = params.into_iter().collect();
        SearchParams::parse(&params, &FrontendConfig::default(), NOW)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_and_their_defaults() {
        let found = parse([]).unwrap();
        assert_eq!(found.query, "{ }");
        assert_eq!((found.limit, found.spans_per_spanset), (20, 3));
        assert_eq!(found.window.start_ns, NOW - 900 * SECOND_NS);
        let found = parse([
            ("q", "{ .a }"),
            ("limit", "200"),
            ("spss", "0"),
            ("start", "5"),
            ("end", "9"),
        ]);
        let found = found.unwrap();
        assert_eq!(found.query, "{ .a }");
        assert_eq!((found.limit, found.spans_per_spanset), (200, usize::MAX));
        assert_eq!(found.window.start_ns, 5 * SECOND_NS);
        assert_eq!(found.window.end_ns, 10 * SECOND_NS - 1);
    }

    #[test]
    fn bad_parameters_are_named() {
        for (params, part) in [
            (
                [("q", "{}"), ("tags", "a=b")],
                "invalid request: can't specify tags and q in the same query",
            ),
            ([("q", "{}"), ("minDuration", "1s")], "traceDuration"),
            ([("limit", "0"), ("x", "")], "invalid limit: \"0\""),
            ([("limit", "-1"), ("x", "")], "invalid limit: \"-1\""),
            (
                [("limit", "262145"), ("x", "")],
                "limit 262145 exceeds max limit 262144",
            ),
            (
                [("spss", "101"), ("x", "")],
                "spans per span set exceeds 100. received 101",
            ),
            (
                [("start", "1"), ("x", "")],
                "only one of start and end provided",
            ),
            ([("start", "1.5"), ("end", "2")], "invalid start: \"1.5\""),
            (
                [("start", "2020-09-13T12:26:40Z"), ("end", "2")],
                "invalid start",
            ),
            ([("start", "1"), ("end", "4294967296")], "invalid end"),
            ([("dialect", "x"), ("q", "{}")], "invalid dialect"),
        ] {
            let error = parse(params).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn ranges_are_bounded_if_the_configuration_says_so() {
        let mut config = FrontendConfig::default();
        let parse = |config: &FrontendConfig, end: &str| {
            let params = [("start", "1"), ("end", end)].into_iter().collect();
            SearchParams::parse(&params, config, NOW).map_err(|error| error.to_string())
        };
        assert!(parse(&config, "4000000000").is_ok());
        config.query_frontend.search.max_duration = GoDuration::from_secs(3600);
        assert!(parse(&config, "3601").is_ok());
        let error = parse(&config, "3602").unwrap_err();
        assert!(
            error.contains("1h0m0s (query_frontend.search.max_duration)"),
            "{error}"
        );
    }
}
