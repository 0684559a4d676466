//! The windows that traces go into.
//!
//! A sender whose clock is off may send spans of any time, each in a window of its own. These would become as
//! many blocks. So where there are very many windows, those with few traces are put together into longer ones, and the
//! others stay as they are.

use hashbrown::HashMap;

use crate::block::meta::Window;

/// More windows than these are not made of one job, about.
const MANY: usize = 1_024;
/// How much longer windows become at a time.
const LONGER: i64 = 32;

/// The windows of one job.
#[derive(Debug)]
pub(super) struct Windows {
    /// Length of most, in seconds.
    length_s: i64,
    /// How many traces start in each of them.
    traces: HashMap<Window, usize>,
    /// Those of fewer traces are not made, but longer ones of this length.
    sparse: Option<(usize, i64)>,
}

impl Windows {
    /// Windows of this length for traces that start at these times, ns since the epoch.
    pub(super) fn new(length_s: i64, starts: impl Iterator<Item = i64>) -> Self {
        let mut traces: HashMap<Window, usize> = HashMap::new();
        for start_ns in starts {
            *traces.entry(Window::of(start_ns, length_s)).or_default() += 1;
        }
        let sparse = (traces.len() > MANY).then(|| {
            let few = traces.values().sum::<usize>().div_ceil(MANY);
            let sparse = traces.iter().filter(|(_, count)| **count < few);
            let starts: Vec<i64> = sparse.map(|(window, _)| window.start_s).collect();
            let mut longer_s = length_s;
            loop {
                longer_s = longer_s.saturating_mul(LONGER);
                let mut windows: Vec<i64> = starts
                    .iter()
                    .map(|start_s| start_s.div_euclid(longer_s))
                    .collect();
                windows.sort_unstable();
                windows.dedup();
                if windows.len() <= MANY {
                    return (few, longer_s);
                }
            }
        });
        Self {
            length_s,
            traces,
            sparse,
        }
    }

    /// The window of a trace that starts at a time, ns since the epoch.
    pub(super) fn of(&self, start_ns: i64) -> Window {
        let window = Window::of(start_ns, self.length_s);
        match self.sparse {
            Some((few, longer_s)) if self.traces.get(&window).is_none_or(|it| *it < few) => {
                Window::of(start_ns, longer_s)
            }
            _ => window,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const S: i64 = 1_000_000_000;
    const HOUR_S: i64 = 3_600;

    #[test]
    fn a_year_of_hours_is_not_too_many() {
        let starts = (0i64..).take(MANY).map(|hour| hour * HOUR_S * S);
        let windows = Windows::new(HOUR_S, starts.clone());
        assert!(
            starts
                .into_iter()
                .all(|start| windows.of(start) == Window::of(start, HOUR_S))
        );
    }

    /// Some hours full of traces, among very many with a trace each over all of time.
    #[test]
    fn hours_with_few_traces_are_put_together_and_others_stay() {
        let scattered =
            (0..20_000i64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()));
        let full = (0..3 * 5_000i64).map(|n| (1_700_000_000 + n % 3 * HOUR_S) * S + n);
        let all: Vec<i64> = scattered.chain(full.clone()).collect();
        let windows = Windows::new(HOUR_S, all.iter().copied());
        assert!(
            full.into_iter()
                .all(|start| windows.of(start) == Window::of(start, HOUR_S))
        );
        let made: BTreeSet<Window> = all.iter().map(|start| windows.of(*start)).collect();
        assert!(made.len() <= 2 * MANY, "{}", made.len());
        assert!(all.iter().all(|start| windows.of(*start).holds(*start)));
    }
}
