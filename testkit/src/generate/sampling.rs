//! Distributions with the skew of real traffic, cheap enough to draw for every span.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A rank in `0..count` with frequencies like 1/rank: a few ranks take most of the draws, and every
/// rank is drawn some time.
pub(super) fn zipf(rng: &mut ChaCha8Rng, count: u32) -> u32 {
    // The logarithm of the rank is uniform.
    let rank = f64::from(count).powf(rng.random::<f64>()) as u32;
    rank.clamp(1, count) - 1
}

/// About log-normal around `median`; `spread` is the standard deviation of the logarithm.
pub(super) fn log_normal(rng: &mut ChaCha8Rng, median: f64, spread: f64) -> f64 {
    // Four uniforms make a bell, which is all the shape that matters here; their variance is 1/3.
    let bell: f64 = (0..4).map(|_| rng.random::<f64>() - 0.5).sum::<f64>() * 3_f64.sqrt();
    median * (bell * spread).exp()
}

/// A log-normal number of nanoseconds, at least one.
pub(super) fn nanoseconds(rng: &mut ChaCha8Rng, median_ns: f64, spread: f64) -> i64 {
    (log_normal(rng, median_ns, spread) as i64).max(1)
}

/// One of the items, the first ones more often.
pub(super) fn skewed<'a, T>(rng: &mut ChaCha8Rng, items: &'a [T]) -> &'a T {
    &items[zipf(rng, items.len() as u32) as usize]
}
