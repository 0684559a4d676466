//! How far apart samples are if a request does not say.

const MILLISECOND_NS: i64 = 1_000_000;
const SECOND_NS: i64 = 1_000 * MILLISECOND_NS;

/// About 240 intervals, each of a length that people use.
pub(super) fn default_step(range_ns: i64) -> i64 {
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
}
