//! What one group holds for one interval.

use super::double_double::DoubleDouble;
use super::histogram::{Log2Histogram, float_bucket, int_bucket};
use super::rows::StateRow;
use super::sketch::Sketch;

/// The state of one group in one interval. `Default` is the empty state.
pub(crate) trait Cell: Default + Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Adds so many spans without a value.
    fn add_spans(&mut self, _count: u64) {}

    /// Adds an integer or a duration in ns. Returns the bytes that this allocated.
    fn add_int(&mut self, value: i64) -> usize;

    /// Adds a float; never NaN. Returns the bytes that this allocated.
    fn add_float(&mut self, value: f64) -> usize;

    /// Whether nothing was added.
    fn is_empty(&self) -> bool;

    /// Adds another state.
    fn merge(&mut self, other: Self);

    /// The state as rows.
    fn rows(&self, interval: u32, push: impl FnMut(StateRow));

    /// Adds a row of another state.
    fn absorb(&mut self, row: &StateRow);

    /// Bytes held besides the struct itself.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// Number of spans.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountCell(pub(crate) u64);

impl Cell for CountCell {
    #[inline]
    fn add_spans(&mut self, count: u64) {
        self.0 += count;
    }

    fn add_int(&mut self, _value: i64) -> usize {
        self.0 += 1;
        0
    }

    fn add_float(&mut self, _value: f64) -> usize {
        self.0 += 1;
        0
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }

    fn rows(&self, interval: u32, mut push: impl FnMut(StateRow)) {
        push(StateRow {
            interval,
            count: self.0,
            ..StateRow::default()
        });
    }

    fn absorb(&mut self, row: &StateRow) {
        self.0 += row.count;
    }
}

/// Sum and number of values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SumCell {
    /// Of integers and durations: more of them than could ever be counted do not overflow it.
    ints: i128,
    floats: DoubleDouble,
    pub(crate) count: u64,
}

impl SumCell {
    /// The sum of all values.
    pub(crate) fn sum(&self) -> DoubleDouble {
        let mut sum = DoubleDouble::from(self.ints);
        sum.add(self.floats);
        sum
    }
}

impl Cell for SumCell {
    #[inline]
    fn add_int(&mut self, value: i64) -> usize {
        self.ints += i128::from(value);
        self.count += 1;
        0
    }

    #[inline]
    fn add_float(&mut self, value: f64) -> usize {
        self.floats.add(value.into());
        self.count += 1;
        0
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn merge(&mut self, other: Self) {
        self.ints += other.ints;
        self.floats.add(other.floats);
        self.count += other.count;
    }

    fn rows(&self, interval: u32, mut push: impl FnMut(StateRow)) {
        let DoubleDouble { high, low } = self.sum();
        push(StateRow {
            interval,
            count: self.count,
            high,
            low,
            ..StateRow::default()
        });
    }

    fn absorb(&mut self, row: &StateRow) {
        self.floats.add(DoubleDouble {
            high: row.high,
            low: row.low,
        });
        self.count += row.count;
    }
}

/// The smallest (`SIGN` 1) or largest (`SIGN` −1) value. Integers stay exact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtremeCell<const SIGN: i8> {
    pub(crate) value: DoubleDouble,
    seen: bool,
}

impl<const SIGN: i8> Default for ExtremeCell<SIGN> {
    fn default() -> Self {
        Self {
            value: DoubleDouble::default(),
            seen: false,
        }
    }
}

impl<const SIGN: i8> ExtremeCell<SIGN> {
    #[inline]
    fn offer(&mut self, value: DoubleDouble) {
        let key = (value.high, value.low);
        let held = (self.value.high, self.value.low);
        let better = if SIGN > 0 { key < held } else { key > held };
        if !self.seen || better {
            self.value = value;
            self.seen = true;
        }
    }
}

impl<const SIGN: i8> Cell for ExtremeCell<SIGN> {
    #[inline]
    fn add_int(&mut self, value: i64) -> usize {
        self.offer(value.into());
        0
    }

    #[inline]
    fn add_float(&mut self, value: f64) -> usize {
        self.offer(value.into());
        0
    }

    fn is_empty(&self) -> bool {
        !self.seen
    }

    fn merge(&mut self, other: Self) {
        if other.seen {
            self.offer(other.value);
        }
    }

    fn rows(&self, interval: u32, mut push: impl FnMut(StateRow)) {
        let DoubleDouble { high, low } = self.value;
        push(StateRow {
            interval,
            count: 1,
            high,
            low,
            ..StateRow::default()
        });
    }

    fn absorb(&mut self, row: &StateRow) {
        self.offer(DoubleDouble {
            high: row.high,
            low: row.low,
        });
    }
}

impl Cell for Sketch {
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the sketch's error is far larger than a float's"
    )]
    fn add_int(&mut self, value: i64) -> usize {
        self.add(value as f64)
    }

    #[inline]
    fn add_float(&mut self, value: f64) -> usize {
        self.add(value)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn rows(&self, interval: u32, push: impl FnMut(StateRow)) {
        self.0.rows(interval, push);
    }

    fn absorb(&mut self, row: &StateRow) {
        self.0.add(row.key, row.count);
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl Cell for Log2Histogram {
    #[inline]
    fn add_int(&mut self, value: i64) -> usize {
        int_bucket(value).map_or(0, |bucket| self.0.increment(bucket))
    }

    fn add_float(&mut self, value: f64) -> usize {
        float_bucket(value).map_or(0, |bucket| self.0.increment(bucket))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn rows(&self, interval: u32, push: impl FnMut(StateRow)) {
        self.0.rows(interval, push);
    }

    fn absorb(&mut self, row: &StateRow) {
        self.0.add(row.key, row.count);
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}
