//! The time range of searches, and of names and values.

use super::invalid::InvalidParameter;
use super::params::{SECOND_NS, cut_off, since};
use crate::api::params::Params;
use crate::config::FrontendConfig;

/// What is looked at if the request does not say.
const DEFAULT_SINCE_NS: i64 = 15 * 60 * SECOND_NS;

/// A time range, both ends in it, ns since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
}

impl Window {
    /// The range up to now that `since` says, or from `start` to `end`, or the last minutes.
    pub(super) fn parse(
        params: &Params,
        config: &FrontendConfig,
        now_ns: i64,
        time: impl Fn(&'static str, &str) -> Result<i64, InvalidParameter>,
    ) -> Result<Self, InvalidParameter> {
        let end = |name: &'static str| params.get(name).map(|text| time(name, text)).transpose();
        let until_now = |length: i64| (now_ns.saturating_sub(length), now_ns);
        let (start_ns, end_ns) = match (since(params)?, end("start")?, end("end")?) {
            (Some(length), _, _) => until_now(length),
            (None, Some(start_ns), Some(end_ns)) => (start_ns, end_ns),
            (None, None, None) => until_now(DEFAULT_SINCE_NS),
            (None, Some(_), None) | (None, None, Some(_)) => return Err(InvalidParameter::OneEnd),
        };
        let cutoff_ns = config.query_frontend.query_end_cutoff.as_ns();
        let (start_ns, end_ns) = cut_off(start_ns, end_ns, cutoff_ns, now_ns);
        if start_ns >= end_ns {
            return Err(InvalidParameter::EmptyRange { start_ns, end_ns });
        }
        // Who says only the second means all of it; else the newest spans would not be found.
        let end_ns = if end_ns % SECOND_NS == 0 {
            end_ns.saturating_add(SECOND_NS - 1)
        } else {
            end_ns
        };
        Ok(Self { start_ns, end_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::super::params::time;
    use super::*;
    use crate::duration::GoDuration;

    const NOW: i64 = 1_700_000_000_500_000_000;

    fn window<const N: usize>(params: [(&str, &str); N]) -> Result<(i64, i64), String> {
        let params = params.into_iter().collect();
        let window = Window::parse(&params, &FrontendConfig::default(), NOW, time);
        let window = window.map_err(|error| error.to_string())?;
        Ok((window.start_ns, window.end_ns))
    }

    #[test]
    fn ranges() {
        let minute = 60 * SECOND_NS;
        assert_eq!(window([]), Ok((NOW - 15 * minute, NOW)));
        assert_eq!(window([("since", "1m")]), Ok((NOW - minute, NOW)));
        let both = [("start", "5"), ("end", "9")];
        assert_eq!(window(both), Ok((5 * SECOND_NS, 10 * SECOND_NS - 1)));
        let both = [("start", "5"), ("end", "9.25"), ("since", "")];
        assert_eq!(
            window(both),
            Ok((5 * SECOND_NS, 9 * SECOND_NS + SECOND_NS / 4))
        );
        let all = [("start", "5"), ("end", "9"), ("since", "1m")];
        assert_eq!(window(all), Ok((NOW - minute, NOW)));
    }

    #[test]
    fn mistakes() {
        for (params, part) in [
            ([("start", "5"), ("x", "")], "must provide both or neither"),
            ([("end", "5"), ("x", "")], "only one of start and end"),
            ([("start", "5"), ("end", "5")], "start must be before end"),
            ([("start", "6"), ("end", "5")], "start must be before end"),
            ([("start", "x"), ("end", "5")], "invalid start: \"x\""),
            ([("since", "x"), ("end", "5")], "invalid since: \"x\""),
        ] {
            let error = window(params).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_newest_part_can_be_left_out() {
        let mut config = FrontendConfig::default();
        config.query_frontend.query_end_cutoff = GoDuration::from_secs(30);
        let found = Window::parse(&Params::default(), &config, NOW, time).unwrap();
        assert_eq!(found.end_ns, NOW - 30 * SECOND_NS);
    }
}
