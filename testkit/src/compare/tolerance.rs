//! How near two values have to be.

/// How far a value may be from the expected one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Relative to the larger of the two.
    pub relative: f64,
}

impl Tolerance {
    /// For sums in another order: the same but for rounding.
    pub const ROUNDING: Self = Self { relative: 1e-9 };
    /// For quantiles from a sketch; a little above its promise of 1 %.
    pub const SKETCH: Self = Self {
        relative: 0.010_001,
    };

    /// Whether `actual` is near enough to `expected`.
    #[must_use]
    pub fn accepts(self, expected: f64, actual: f64) -> bool {
        let equal = expected == actual || (expected.is_nan() && actual.is_nan());
        equal || (expected - actual).abs() <= self.relative * expected.abs().max(actual.abs())
    }
}
