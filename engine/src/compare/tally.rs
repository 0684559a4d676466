//! Spans by attribute, value, side and interval.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::error::EngineError;
use crate::grid::{Grid, Placement};
use crate::limit::MemoryLimit;
use crate::partial::KeyValue;
use crate::series::{Label, LabelValue, Series, SeriesSet};

/// Which spans are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Baseline = 0,
    Selection = 1,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Baseline, Self::Selection];

    const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Selection => "selection",
        }
    }
}

/// Counts of intervals that are not zero, by interval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts(Vec<(u32, u64)>);

impl Counts {
    pub(crate) fn add(&mut self, interval: u32, spans: u64) {
        // Spans come about in the order of time, so it is mostly the last.
        match self.0.last_mut() {
            Some((last, count)) if *last == interval => *count += spans,
            Some((last, _)) if *last > interval => {
                match self.0.binary_search_by_key(&interval, |(at, _)| *at) {
                    Ok(place) => self.0[place].1 += spans,
                    Err(place) => self.0.insert(place, (interval, spans)),
                }
            }
            _ => self.0.push((interval, spans)),
        }
    }

    fn merge(&mut self, other: &Self) {
        for &(interval, spans) in &other.0 {
            self.add(interval, spans);
        }
    }

    /// Those of some intervals, numbered anew.
    fn part(&self, placement: Placement) -> impl Iterator<Item = (u32, u64)> + '_ {
        let Placement { from, count, at } = placement;
        let place = self.0.partition_point(|(interval, _)| *interval < from);
        let counts = self.0[place..].iter();
        counts
            .map(move |&(interval, spans)| (interval - from, spans))
            .take_while(move |(interval, _)| *interval < count)
            .map(move |(interval, spans)| (at + interval, spans))
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|(_, spans)| spans).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn values(&self, intervals: u32) -> Vec<f64> {
        let mut values = vec![0.0; intervals as usize];
        for &(interval, spans) in &self.0 {
            values[interval as usize] = spans as f64;
        }
        values
    }
}

/// The spans that have an attribute, by value and side.
type Values = HashMap<KeyValue, [Counts; 2]>;

/// What the jobs of one `compare()` have counted.
#[derive(Debug)]
pub(crate) struct Tally {
    attributes: BTreeMap<Arc<str>, Values>,
    grid: Grid,
    limit: MemoryLimit,
    bytes: usize,
}

/// Bytes of one more value, about.
const VALUE_BYTES: usize = size_of::<(KeyValue, [Counts; 2])>() + 48;

impl Tally {
    pub(crate) const fn new(grid: Grid, limit: MemoryLimit) -> Self {
        Self {
            attributes: BTreeMap::new(),
            grid,
            limit,
            bytes: 0,
        }
    }

    /// Counts spans with a value.
    pub(crate) fn add(
        &mut self,
        attribute: &Arc<str>,
        value: KeyValue,
        side: Side,
        interval: u32,
        spans: u64,
    ) {
        let values = match self.attributes.get_mut(attribute) {
            Some(values) => values,
            None => self.attributes.entry(Arc::clone(attribute)).or_default(),
        };
        let bytes = &mut self.bytes;
        let room = value.heap_bytes() + VALUE_BYTES;
        let counts = values.entry(value).or_insert_with(|| {
            *bytes += room;
            Default::default()
        });
        counts[side as usize].add(interval, spans);
    }

    /// Adds the counts of other spans of the same query. Order does not matter.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        for (attribute, values) in other.attributes {
            let held = self.attributes.entry(attribute).or_default();
            for (value, counts) in values {
                let room = value.heap_bytes() + VALUE_BYTES;
                let held = held.entry(value).or_insert_with(|| {
                    self.bytes += room;
                    Default::default()
                });
                for (held, counts) in held.iter_mut().zip(&counts) {
                    held.merge(counts);
                }
            }
        }
        self.check_memory()
    }

    /// Adds the counts of some intervals of others, and leaves them as they are. Order does not
    /// matter.
    pub(crate) fn merge_part(
        &mut self,
        part: &Self,
        placement: Placement,
    ) -> Result<(), EngineError> {
        for (attribute, values) in &part.attributes {
            for (value, counts) in values {
                for (side, counts) in Side::BOTH.into_iter().zip(counts) {
                    for (interval, spans) in counts.part(placement) {
                        self.add(attribute, value.clone(), side, interval, spans);
                    }
                }
            }
        }
        self.check_memory()
    }

    /// Bytes held, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let counts = self.attributes.values().flat_map(HashMap::values).flatten();
        let counts: usize = counts.map(|counts| counts.0.capacity()).sum();
        self.bytes + counts * size_of::<(u32, u64)>()
    }

    /// # Errors
    /// [`EngineError::MemoryLimit`] if the counts are larger than the query may hold.
    pub(crate) fn check_memory(&self) -> Result<(), EngineError> {
        // Intervals are counted once for all values: those of one value are few where values are many.
        let held = self.bytes + self.grid.intervals as usize * size_of::<(u32, u64)>();
        self.limit.check(held)
    }

    /// Distinct values of all attributes.
    pub(crate) fn value_count(&self) -> usize {
        self.attributes.values().map(HashMap::len).sum()
    }

    /// The series: of each attribute and side the `top_n` commonest values, and the total of all.
    pub(crate) fn finish(self, top_n: i64) -> SeriesSet {
        let top_n = usize::try_from(top_n).unwrap_or(usize::MAX);
        let mut series = Vec::new();
        for (attribute, values) in &self.attributes {
            for side in Side::BOTH {
                self.side(attribute, values, side, top_n, &mut series);
            }
        }
        let mut set = SeriesSet {
            grid: self.grid,
            series,
        };
        set.sort();
        set
    }

    fn side(
        &self,
        attribute: &str,
        values: &Values,
        side: Side,
        top_n: usize,
        series: &mut Vec<Series>,
    ) {
        let mut total = Counts::default();
        let mut found: Vec<(u64, LabelValue, &Counts)> = Vec::new();
        for (value, counts) in values {
            let counts = &counts[side as usize];
            let spans = counts.total();
            if spans > 0 {
                total.merge(counts);
                found.push((spans, value.label_or_nil(), counts));
            }
        }
        if found.is_empty() {
            return;
        }
        // Of values that are equally common, the first in the order of answers are kept.
        found.sort_by_cached_key(|(spans, value, _)| (Reverse(*spans), value.sort_key()));
        found.truncate(top_n);
        let mut push = |meta_type: String, value: LabelValue, counts: &Counts| {
            let label = |name: &str, value| Label {
                name: name.to_owned(),
                value,
            };
            series.push(Series {
                labels: vec![
                    label("__meta_type", LabelValue::String(meta_type)),
                    label(attribute, value),
                ],
                values: counts.values(self.grid.intervals),
            });
        };
        for (_, value, counts) in found {
            push(side.name().to_owned(), value, counts);
        }
        let nil = LabelValue::String("nil".to_owned());
        push(format!("{}_total", side.name()), nil, &total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_any_order_of_intervals() {
        let mut counts = Counts::default();
        for interval in [3, 3, 1, 7, 3, 1, 0] {
            counts.add(interval, 1);
        }
        assert_eq!(counts.0, [(0, 1), (1, 2), (3, 3), (7, 1)]);
        assert_eq!(counts.total(), 7);
    }

    #[test]
    fn the_commonest_values_are_kept_and_all_are_in_the_total() {
        let grid = Grid {
            start_ns: 0,
            step_ns: 1,
            intervals: 1,
        };
        let limit = MemoryLimit {
            bytes: 1 << 20,
            key: "k",
        };
        let mut tally = Tally::new(grid, limit);
        let attribute: Arc<str> = "span.x".into();
        for (value, spans) in [(1, 5), (2, 7), (3, 5), (4, 1)] {
            tally.add(&attribute, KeyValue::Int(value), Side::Selection, 0, spans);
        }
        let set = tally.finish(2);
        let shown: Vec<_> = set
            .series
            .iter()
            .map(|series| {
                let [meta, value] = [0, 1].map(|at| series.labels[at].value.to_text());
                format!("{meta} {value} {}", series.values[0])
            })
            .collect();
        assert_eq!(
            shown,
            ["selection 1 5", "selection 2 7", "selection_total nil 18"]
        );
    }
}
