//! Parameters that several endpoints of the Tempo API have.

use traceql::Dialect;

use super::invalid::{InvalidParameter, unreadable};
use crate::api::params::Params;
use crate::api::time::{ns_of_epoch_seconds, parse_rfc3339};
use crate::duration::{parse_go, parse_prometheus};

pub(super) const SECOND_NS: i64 = 1_000_000_000;
/// Where the end cutoff leaves nothing, this much before now is queried.
const CUTOFF_FALLBACK_NS: i64 = 15 * 60 * SECOND_NS;

pub(super) fn dialect(params: &Params) -> Result<Dialect, InvalidParameter> {
    match params.get("dialect") {
        None => Ok(Dialect::default()),
        Some(name) => {
            Dialect::from_name(name).ok_or_else(|| unreadable("dialect", name, "spandrel or tempo"))
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000 * SECOND_NS;

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
