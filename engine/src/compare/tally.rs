//! Spans by attribute, value, side and interval.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::error::EngineError;
use crate::grid::{Grid, Placement};
use crate::limit::MemoryLimit;
use crate::partial::{KeyValue, NIL};
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

/// Number of places on a grid: one for each interval and side.
pub(crate) const fn place_count(grid: &Grid) -> usize {
    2 * grid.intervals as usize
}

/// The place of a side in an interval.
pub(crate) const fn place(interval: u32, side: Side) -> u32 {
    2 * interval + side as u32
}

/// The side of a place.
const fn side_of(place: u32) -> usize {
    (place & 1) as usize
}

/// Spans of one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spans {
    /// By side.
    totals: [u64; 2],
    /// By place, ascending, without zeros; only where there are several intervals.
    by_place: Vec<(u32, u64)>,
}

impl Spans {
    /// Counts spans at a place. Returns how many places more there are.
    fn add(&mut self, place: u32, spans: u64, by_place: bool) -> usize {
        self.totals[side_of(place)] += spans;
        if !by_place {
            return 0;
        }
        // Spans come about in the order of time, so it is mostly one of the last.
        match self.by_place.last_mut() {
            Some((last, count)) if *last == place => {
                *count += spans;
                0
            }
            Some((last, _)) if *last > place => {
                match self.by_place.binary_search_by_key(&place, |(at, _)| *at) {
                    Ok(at) => {
                        self.by_place[at].1 += spans;
                        0
                    }
                    Err(at) => {
                        self.by_place.insert(at, (place, spans));
                        1
                    }
                }
            }
            _ => {
                self.by_place.push((place, spans));
                1
            }
        }
    }

    /// Adds the spans of another. Returns how many places more there are.
    fn add_all(&mut self, other: &Self) -> usize {
        for (total, spans) in self.totals.iter_mut().zip(other.totals) {
            *total += spans;
        }
        let before = self.by_place.len();
        self.by_place.extend(&other.by_place);
        // Of two ordered halves this is a merge.
        self.by_place.sort_by_key(|(place, _)| *place);
        self.by_place.dedup_by(|next, held| {
            let is_same = next.0 == held.0;
            if is_same {
                held.1 += next.1;
            }
            is_same
        });
        self.by_place.len() - before
    }

    /// Those of some intervals, by their places in a whole. `by_place` is whether they are told apart by
    /// interval; there is one otherwise.
    fn part(&self, placement: Placement, by_place: bool, into: &mut Vec<(u32, u64)>) {
        into.clear();
        let Placement { from, count, at } = placement;
        let [baseline, selection] = self.totals;
        let only = [
            (place(0, Side::Baseline), baseline),
            (place(0, Side::Selection), selection),
        ];
        let counts: &[(u32, u64)] = if by_place { &self.by_place } else { &only };
        let first = place(from, Side::Baseline);
        let end = place(from.saturating_add(count), Side::Baseline);
        let start = counts.partition_point(|(place, _)| *place < first);
        let inside = counts[start..].iter();
        let inside = inside.take_while(|(place, _)| *place < end);
        let moved = place(at, Side::Baseline);
        into.extend(
            inside
                .filter(|(_, spans)| *spans > 0)
                .map(|(place, spans)| (place - first + moved, *spans)),
        );
    }
}

/// A value of an attribute, as a column has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found<'a> {
    Text(&'a str),
    /// Anything but text.
    Other(KeyValue),
}

impl Found<'_> {
    /// What every array is shown as.
    pub(crate) const fn array() -> Self {
        Self::Text(NIL)
    }
}

/// The spans that have an attribute, by value.
#[derive(Debug, Default)]
pub(crate) struct Values {
    texts: HashMap<String, Spans>,
    others: HashMap<KeyValue, Spans>,
    /// Whether spans are told apart by interval.
    by_place: bool,
    bytes: usize,
}

/// Bytes of one more value, about: with its control byte, and the free places of a table.
const VALUE_BYTES: usize = (size_of::<(KeyValue, Spans)>() + 1) * 4 / 3;
const PLACE_BYTES: usize = size_of::<(u32, u64)>();

impl Values {
    /// Counts spans with a value by place.
    pub(crate) fn add(&mut self, value: Found<'_>, spans: &[(u32, u64)]) {
        let held = match value {
            Found::Text(text) => {
                let bytes = &mut self.bytes;
                self.texts.entry_ref(text).or_insert_with(|| {
                    *bytes += VALUE_BYTES + text_bytes(text);
                    Spans::default()
                })
            }
            Found::Other(KeyValue::Nil) => return,
            Found::Other(value) => {
                let bytes = &mut self.bytes;
                self.others.entry(value).or_insert_with(|| {
                    *bytes += VALUE_BYTES;
                    Spans::default()
                })
            }
        };
        for &(place, spans) in spans {
            self.bytes += held.add(place, spans, self.by_place) * PLACE_BYTES;
        }
    }

    fn merge(&mut self, other: Self) {
        if self.len() == 0 {
            *self = other;
            return;
        }
        let bytes = &mut self.bytes;
        for (text, spans) in other.texts {
            let room = VALUE_BYTES + text_bytes(&text);
            merge(self.texts.entry(text), room, spans, bytes);
        }
        for (value, spans) in other.others {
            merge(self.others.entry(value), VALUE_BYTES, spans, bytes);
        }
    }

    fn merge_part(&mut self, other: &Self, placement: Placement) {
        let mut counts = Vec::new();
        for (text, spans) in &other.texts {
            spans.part(placement, other.by_place, &mut counts);
            if !counts.is_empty() {
                self.add(Found::Text(text), &counts);
            }
        }
        for (value, spans) in &other.others {
            spans.part(placement, other.by_place, &mut counts);
            if !counts.is_empty() {
                self.add(Found::Other(value.clone()), &counts);
            }
        }
    }

    fn len(&self) -> usize {
        self.texts.len() + self.others.len()
    }

    fn spans(&self) -> impl Iterator<Item = &Spans> {
        self.texts.values().chain(self.others.values())
    }

    /// Each value as it is shown and ordered, with its spans.
    fn shown(&self) -> impl Iterator<Item = (Shown<'_>, &Spans)> {
        let texts = self.texts.iter();
        let texts = texts.map(|(text, spans)| (Shown::Text(text), spans));
        let others = self.others.iter();
        texts.chain(others.map(|(value, spans)| (Shown::Other(value.label_or_nil()), spans)))
    }
}

fn merge<K: std::hash::Hash>(
    entry: hashbrown::hash_map::Entry<'_, K, Spans, hashbrown::DefaultHashBuilder>,
    room: usize,
    spans: Spans,
    bytes: &mut usize,
) {
    match entry {
        hashbrown::hash_map::Entry::Occupied(mut held) => {
            *bytes += held.get_mut().add_all(&spans) * PLACE_BYTES;
        }
        hashbrown::hash_map::Entry::Vacant(vacant) => {
            *bytes += room + spans.by_place.len() * PLACE_BYTES;
            vacant.insert(spans);
        }
    }
}

/// Bytes of a text, with those that an allocation takes besides.
const fn text_bytes(text: &str) -> usize {
    text.len() + 16
}

/// A value as it is shown.
enum Shown<'a> {
    Text(&'a str),
    Other(LabelValue),
}

impl<'a> Shown<'a> {
    /// See [`LabelValue::sort_key`].
    fn sort_key(&self) -> (&'static str, Cow<'a, str>) {
        match self {
            Self::Text(text) => ("string", Cow::Borrowed(*text)),
            Self::Other(value) => {
                let (value_type, text) = value.sort_key();
                (value_type, Cow::Owned(text.into_owned()))
            }
        }
    }

    fn into_label(self) -> LabelValue {
        match self {
            Self::Text(text) => LabelValue::String(text.to_owned()),
            Self::Other(value) => value,
        }
    }
}

/// What the jobs of one `compare()` have counted.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Where each attribute is.
    index: HashMap<Arc<str>, usize>,
    attributes: Vec<(Arc<str>, Values)>,
    grid: Grid,
    limit: MemoryLimit,
}

/// Bytes of one more attribute besides its label, about.
const ATTRIBUTE_BYTES: usize = 2 * size_of::<(Arc<str>, Values)>();

impl Tally {
    pub(crate) fn new(grid: Grid, limit: MemoryLimit) -> Self {
        Self {
            index: HashMap::new(),
            attributes: Vec::new(),
            grid,
            limit,
        }
    }

    /// The grid that spans are counted on.
    pub(crate) const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Where the values of an attribute are.
    pub(crate) fn attribute(&mut self, label: &Arc<str>) -> usize {
        let next = self.attributes.len();
        let index = *self.index.entry(Arc::clone(label)).or_insert(next);
        if index == next {
            let values = Values {
                by_place: self.grid.intervals > 1,
                ..Values::default()
            };
            self.attributes.push((Arc::clone(label), values));
        }
        index
    }

    /// The values of an attribute that [`Self::attribute`] said the place of.
    pub(crate) fn values(&mut self, attribute: usize) -> &mut Values {
        &mut self.attributes[attribute].1
    }

    /// Adds the counts of other spans of the same query. Order does not matter.
    pub(crate) fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        for (label, values) in other.attributes {
            let attribute = self.attribute(&label);
            self.values(attribute).merge(values);
        }
        self.limit.check(self.bytes())
    }

    /// Bytes that are held, about.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |(label, values): &(Arc<str>, Values)| {
            ATTRIBUTE_BYTES + text_bytes(label) + values.bytes
        };
        self.attributes.iter().map(bytes).sum()
    }

    /// Adds the counts of some intervals of others, and leaves them as they are. Order does not
    /// matter.
    pub(crate) fn merge_part(
        &mut self,
        part: &Self,
        placement: Placement,
    ) -> Result<(), EngineError> {
        for (label, values) in &part.attributes {
            let attribute = self.attribute(label);
            self.values(attribute).merge_part(values, placement);
        }
        self.limit.check(self.bytes())
    }

    /// # Errors
    /// [`EngineError::MemoryLimit`] if so many bytes are more than the query may hold.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), EngineError> {
        self.limit.check(bytes)
    }

    /// Distinct values of all attributes.
    pub(crate) fn value_count(&self) -> usize {
        self.attributes.iter().map(|(_, values)| values.len()).sum()
    }

    /// The series: of each attribute and side the `top_n` commonest values, and the total of all.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if they are larger than the query may hold.
    pub(crate) fn finish(self, top_n: i64) -> Result<SeriesSet, EngineError> {
        let top_n = usize::try_from(top_n).unwrap_or(usize::MAX);
        let mut series = Vec::new();
        for (label, values) in &self.attributes {
            for side in Side::BOTH {
                self.side(label, values, side, top_n, &mut series)?;
            }
        }
        let mut set = SeriesSet {
            grid: self.grid,
            series,
        };
        set.sort();
        Ok(set)
    }

    fn side(
        &self,
        attribute: &str,
        values: &Values,
        side: Side,
        top_n: usize,
        series: &mut Vec<Series>,
    ) -> Result<(), EngineError> {
        if values.spans().all(|spans| spans.totals[side as usize] == 0) {
            return Ok(());
        }
        let mut push = |meta_type: String, value: LabelValue, values: Vec<f64>| {
            let label = |name: &str, value| Label {
                name: name.to_owned(),
                value,
            };
            series.push(Series {
                labels: vec![
                    label("__meta_type", LabelValue::String(meta_type)),
                    label(attribute, value),
                ],
                values,
            });
            let cells = series.len().saturating_mul(self.grid.intervals as usize);
            self.limit.check(cells.saturating_mul(size_of::<f64>()))
        };
        for (value, spans) in commonest(values, side, top_n) {
            let name = side.name().to_owned();
            push(name, value.into_label(), self.samples([spans], side))?;
        }
        let nil = LabelValue::String("nil".to_owned());
        let total = self.samples(values.spans(), side);
        push(format!("{}_total", side.name()), nil, total)
    }

    /// Spans of one side by interval.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn samples<'s>(&self, all: impl IntoIterator<Item = &'s Spans>, side: Side) -> Vec<f64> {
        let mut samples = vec![0_u64; self.grid.intervals as usize];
        for spans in all {
            if let [only] = samples.as_mut_slice() {
                *only += spans.totals[side as usize];
                continue;
            }
            for &(place, count) in &spans.by_place {
                if side_of(place) == side as usize {
                    samples[(place / 2) as usize] += count;
                }
            }
        }
        samples.into_iter().map(|spans| spans as f64).collect()
    }
}

/// What values are ordered by.
type Rank<'v> = (Reverse<u64>, (&'static str, Cow<'v, str>));

fn commonest_first<'v>(side: Side) -> impl Fn(&(Shown<'v>, &Spans)) -> Rank<'v> {
    move |(value, spans)| (Reverse(spans.totals[side as usize]), value.sort_key())
}

/// The values that most spans of a side have. Of those that are equally common, the first in the order
/// of answers are kept.
fn commonest(values: &Values, side: Side, top_n: usize) -> Vec<(Shown<'_>, &Spans)> {
    let total = |spans: &Spans| spans.totals[side as usize];
    if top_n == 0 {
        return Vec::new();
    }
    // How common a value has to be. Most of many values are not, and are never looked at.
    let mut least = 1;
    if values.len() > top_n {
        let mut largest: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        for spans in values.spans() {
            if largest.len() < top_n {
                largest.push(Reverse(total(spans)));
            } else if largest.peek().is_some_and(|least| least.0 < total(spans)) {
                largest.pop();
                largest.push(Reverse(total(spans)));
            }
        }
        least = largest.peek().map_or(1, |least| least.0.max(1));
    }
    let all = values.shown();
    let all = all.filter(|(_, spans)| total(spans) >= least);
    let order = commonest_first(side);
    let mut kept = Vec::new();
    for value in all {
        kept.push(value);
        // So that of a million values that are equally common few are held at once.
        if kept.len() >= top_n.saturating_mul(2).max(1024) {
            kept.sort_by_cached_key(&order);
            kept.truncate(top_n);
        }
    }
    kept.sort_by_cached_key(&order);
    kept.truncate(top_n);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_any_order_of_intervals() {
        let mut spans = Spans::default();
        let added: usize = [3, 3, 1, 7, 3, 1, 0]
            .into_iter()
            .map(|place| spans.add(place, 1, true))
            .sum();
        assert_eq!(added, 4);
        assert_eq!(spans.by_place, [(0, 1), (1, 2), (3, 3), (7, 1)]);
        assert_eq!(spans.totals, [1, 6]);
        let mut other = Spans::default();
        for place in [2, 3, 9] {
            other.add(place, 10, true);
        }
        assert_eq!(spans.add_all(&other), 2);
        let merged = [(0, 1), (1, 2), (2, 10), (3, 13), (7, 1), (9, 10)];
        assert_eq!(spans.by_place, merged);
        assert_eq!(spans.totals, [11, 26]);
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
        let attribute = tally.attribute(&"span.x".into());
        let selection = place(0, Side::Selection);
        for (value, spans) in [(1, 5), (2, 7), (3, 5), (4, 1)] {
            let value = Found::Other(KeyValue::Int(value));
            tally.values(attribute).add(value, &[(selection, spans)]);
        }
        let set = tally.finish(2).unwrap();
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

    #[test]
    fn a_part_of_the_intervals_counts_elsewhere() {
        let placement = |from, count, at| Placement { from, count, at };
        let mut spans = Spans::default();
        for (at, count) in [(0, 1), (2, 2), (3, 3), (4, 4), (7, 5)] {
            spans.add(at, count, true);
        }
        let part = |spans: &Spans, placement, by_place| {
            let mut into = Vec::new();
            spans.part(placement, by_place, &mut into);
            into
        };
        let placed = part(&spans, placement(1, 2, 5), true);
        assert_eq!(placed, [(10, 2), (11, 3), (12, 4)]);
        let mut only = Spans::default();
        only.add(1, 7, false);
        assert_eq!(part(&only, placement(0, 1, 3), false), [(7, 7)]);
        assert_eq!(part(&only, placement(0, 0, 3), false), []);
        assert_eq!(part(&only, placement(1, 1, 0), false), []);
    }
}
