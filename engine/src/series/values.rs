//! The values of one series.

use crate::index::index;

/// One value per interval of a grid; NaN where there is no sample.
///
/// Most of a hundred thousand users are seen in a few intervals only, and have the same value in all
/// others: such values are held once.
#[derive(Debug, Clone)]
pub struct Values(Held);

#[derive(Debug, Clone)]
enum Held {
    All(Vec<f64>),
    Some {
        intervals: usize,
        /// The value of every interval that is not among `values`.
        elsewhere: f64,
        /// Intervals, ascending, and their values.
        values: Vec<(u32, f64)>,
    },
}

impl Values {
    /// Over so many intervals: `values` by interval, ascending, and `elsewhere` in all others.
    pub(crate) fn new(
        intervals: usize,
        elsewhere: f64,
        values: impl ExactSizeIterator<Item = (u32, f64)>,
    ) -> Self {
        // An interval with its value takes as much as two values.
        if values.len() < intervals / 2 {
            return Self(Held::Some {
                intervals,
                elsewhere,
                values: values.collect(),
            });
        }
        let mut all = vec![elsewhere; intervals];
        for (interval, value) in values {
            if let Some(slot) = all.get_mut(index(interval)) {
                *slot = value;
            }
        }
        Self(Held::All(all))
    }

    /// Number of intervals.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Held::All(values) => values.len(),
            Held::Some { intervals, .. } => *intervals,
        }
    }

    /// Whether there are no intervals.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of an interval, if there is that interval.
    #[must_use]
    pub fn get(&self, interval: usize) -> Option<f64> {
        match &self.0 {
            Held::All(values) => values.get(interval).copied(),
            Held::Some {
                intervals,
                elsewhere,
                values,
            } => {
                let place = values.binary_search_by_key(&interval, |(of, _)| index(*of));
                let value = place.map_or(*elsewhere, |place| values[place].1);
                (interval < *intervals).then_some(value)
            }
        }
    }

    /// The values in order of intervals.
    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        let (all, some): (&[f64], _) = match &self.0 {
            Held::All(values) => (values, None),
            Held::Some {
                intervals,
                elsewhere,
                values,
            } => (&[], Some((*intervals, *elsewhere, values.as_slice()))),
        };
        let some = some.into_iter().flat_map(|(intervals, elsewhere, values)| {
            let mut values = values.iter().peekable();
            (0..intervals).map(move |interval| {
                let here = values.next_if(|(of, _)| index(*of) == interval);
                here.map_or(elsewhere, |(_, value)| *value)
            })
        });
        all.iter().copied().chain(some)
    }

    /// The intervals with a sample, ascending, and their values.
    pub fn samples(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let values = self.iter().enumerate();
        values.filter(|(_, value)| !value.is_nan())
    }

    /// Whether there is any sample.
    #[must_use]
    pub fn has_sample(&self) -> bool {
        match &self.0 {
            Held::All(values) => values.iter().any(|value| !value.is_nan()),
            Held::Some {
                intervals,
                elsewhere,
                values,
            } => {
                (!elsewhere.is_nan() && values.len() < *intervals)
                    || values.iter().any(|(_, value)| !value.is_nan())
            }
        }
    }

    /// Puts another value in place of each.
    pub(crate) fn map(&mut self, operation: impl Fn(f64) -> f64) {
        match &mut self.0 {
            Held::All(values) => {
                for value in values {
                    *value = operation(*value);
                }
            }
            Held::Some {
                elsewhere, values, ..
            } => {
                *elsewhere = operation(*elsewhere);
                for (_, value) in values {
                    *value = operation(*value);
                }
            }
        }
    }

    /// The values, each in a place of its own.
    pub(crate) fn to_mut(&mut self) -> &mut [f64] {
        if matches!(self.0, Held::Some { .. }) {
            self.0 = Held::All(self.iter().collect());
        }
        match &mut self.0 {
            Held::All(values) => values,
            Held::Some { .. } => &mut [],
        }
    }
}

/// The same values in the same intervals; NaN is equal to nothing.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self(Held::All(values))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_held_once_read_as_all(
            intervals in 0_usize..12,
            elsewhere in prop_oneof![Just(f64::NAN), Just(0.0)],
            held in prop::collection::btree_map(0_u32..12, prop_oneof![Just(f64::NAN), -2.0..2.0], 0..6),
        ) {
            let held: Vec<_> = held.into_iter().filter(|(at, _)| index(*at) < intervals).collect();
            let mut values = Values::new(intervals, elsewhere, held.iter().copied());
            let mut all = vec![elsewhere; intervals];
            for (interval, value) in held {
                all[index(interval)] = value;
            }
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&values.iter().collect::<Vec<_>>()), bits(&all));
            prop_assert_eq!(values.len(), intervals);
            let by_place: Vec<f64> = (0..intervals).filter_map(|at| values.get(at)).collect();
            prop_assert_eq!(bits(&by_place), bits(&all));
            prop_assert_eq!(values.get(intervals), None);
            let sampled = all.iter().filter(|value| !value.is_nan()).count();
            prop_assert_eq!(values.samples().count(), sampled);
            prop_assert_eq!(values.has_sample(), sampled > 0);
            values.map(|value| value + 1.0);
            let all: Vec<f64> = all.into_iter().map(|value| value + 1.0).collect();
            prop_assert_eq!(values == Values::from(all.clone()), sampled == intervals);
            prop_assert_eq!(bits(values.to_mut()), bits(&all));
        }
    }
}
