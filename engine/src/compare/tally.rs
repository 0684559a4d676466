//! Spans by attribute, value, side and interval.

use std::sync::Arc;

use hashbrown::HashMap;

use super::commonest::commonest;
use super::spans::{Side, SpanCounts, side_of};
use super::values::{CountedValues, text_bytes};
use crate::error::EngineError;
use crate::grid::{Grid, Placement};
use crate::limit::MemoryLimit;
use crate::series::{Label, LabelValue, Series, SeriesSet};

/// What the jobs of one `compare()` have counted.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Where each attribute is.
    index: HashMap<Arc<str>, usize>,
    attributes: Vec<(Arc<str>, CountedValues)>,
    grid: Grid,
    limit: MemoryLimit,
}

/// Bytes of one more attribute besides its label, about.
const ATTRIBUTE_BYTES: usize = 2 * size_of::<(Arc<str>, CountedValues)>();

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
            let values = CountedValues::new(self.grid.intervals > 1);
            self.attributes.push((Arc::clone(label), values));
        }
        index
    }

    /// The values of an attribute that [`Self::attribute`] said the place of.
    pub(crate) fn values(&mut self, attribute: usize) -> &mut CountedValues {
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
        let bytes = |(label, values): &(Arc<str>, CountedValues)| {
            ATTRIBUTE_BYTES + text_bytes(label) + values.bytes()
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
        values: &CountedValues,
        side: Side,
        top_n: usize,
        series: &mut Vec<Series>,
    ) -> Result<(), EngineError> {
        if values.spans().all(|spans| spans.totals[side as usize] == 0) {
            return Ok(());
        }
        let mut push = |meta_type: String, value: LabelValue, values: Vec<f64>| {
            let label = |name: &str, value| Label {
                name: name.into(),
                value,
            };
            series.push(Series {
                labels: vec![
                    label("__meta_type", LabelValue::String(meta_type.into())),
                    label(attribute, value),
                ],
                values: values.into(),
            });
            let cells = series.len().saturating_mul(self.grid.intervals as usize);
            self.limit.check(cells.saturating_mul(size_of::<f64>()))
        };
        for (value, spans) in commonest(values, side, top_n) {
            let name = side.name().to_owned();
            push(name, value.into_label(), self.samples([spans], side))?;
        }
        let nil = LabelValue::String("nil".into());
        let total = self.samples(values.spans(), side);
        push(format!("{}_total", side.name()), nil, total)
    }

    /// Spans of one side by interval.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn samples<'s>(&self, all: impl IntoIterator<Item = &'s SpanCounts>, side: Side) -> Vec<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::spans::place;
    use crate::compare::values::SeenValue;
    use crate::key::KeyValue;

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
            let value = SeenValue::Other(KeyValue::Int(value));
            tally.values(attribute).add(value, &[(selection, spans)]);
        }
        let set = tally.finish(2).unwrap();
        let shown: Vec<_> = set
            .series
            .iter()
            .map(|series| {
                let [meta, value] = [0, 1].map(|at| series.labels[at].value.to_text());
                format!("{meta} {value} {}", series.values.get(0).unwrap())
            })
            .collect();
        assert_eq!(
            shown,
            ["selection 1 5", "selection 2 7", "selection_total nil 18"]
        );
    }
}
