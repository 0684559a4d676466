//! What was found so far of the intervals of a row group.

use storage::ids::BlockId;

use super::candidate::{SAMPLES, is_larger};
use crate::spanset::number::Number;

/// Rows of a multiple of this power of two come first among samples.
pub(super) const TOP_TIER: u32 = 8;
/// So many rows, as a power of two, have the same order of series.
const STRETCH: u32 = 14;

/// What was found of each interval, from the first to the last that has rows.
#[derive(Debug, Default)]
pub(super) struct Cells {
    first: usize,
    cells: Vec<Cell>,
}

/// What was found of one interval, by row in the block.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) largest: Option<(usize, Number)>,
    pub(super) samples: [Option<Sample>; SAMPLES],
    /// Of what tiers these are.
    tiers: [u32; SAMPLES],
}

/// A row, its value, and its order among samples.
pub(super) type Sample = (usize, Number, u64);

impl Cells {
    /// The cell of an interval, if it has rows.
    pub(super) fn get(&self, interval: usize) -> Option<&Cell> {
        self.cells.get(interval.checked_sub(self.first)?)
    }

    /// The cell of an interval.
    pub(super) fn of(&mut self, interval: usize) -> &mut Cell {
        if self.cells.is_empty() {
            self.first = interval;
        }
        // Spans are nearly in order of time.
        if interval < self.first {
            let before = std::iter::repeat_n(Cell::default(), self.first - interval);
            self.cells.splice(0..0, before);
            self.first = interval;
        }
        let at = interval - self.first;
        if at >= self.cells.len() {
            self.cells.resize(at + 1, Cell::default());
        }
        &mut self.cells[at]
    }

    /// The cells from one interval to another.
    pub(super) fn between(&mut self, first: usize, last: usize) -> &mut [Cell] {
        self.of(last);
        self.of(first);
        let from = first - self.first;
        &mut self.cells[from..=from + (last - first)]
    }

    /// All cells with their intervals; none are left.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (usize, Cell)> + use<> {
        let cells = std::mem::take(&mut self.cells);
        (self.first..).zip(cells)
    }

    pub(super) fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
    }
}

impl Cell {
    /// Whether a row with this value, behind all others, would be the one with the largest.
    #[inline]
    pub(super) fn wants(&self, value: Number) -> bool {
        self.largest.is_none_or(|(_, held)| is_larger(value, held))
    }

    /// Whether a row of this tier may be a sample.
    pub(super) fn samples_from(&self, tier: u32, number: usize) -> bool {
        self.samples[number].is_none() || tier >= self.tiers[number]
    }

    /// Whether only rows of the top tier may be samples.
    pub(super) fn samples_from_top(&self, number: usize) -> bool {
        self.samples[number].is_some() && self.tiers[number] >= TOP_TIER
    }

    /// Considers a row of this tier as a sample.
    pub(super) fn sample(&mut self, number: usize, tier: u32, sample: Sample) {
        self.tiers[number] = self.tiers[number].max(tier);
        let (_, _, order) = sample;
        let held = &mut self.samples[number];
        let is_first = match held {
            None => true,
            Some((_, _, held)) if number == 0 => order < *held,
            // Where all is equal else, samples are from both ends.
            Some((_, _, held)) => order <= *held,
        };
        if is_first {
            *held = Some(sample);
        }
    }
}

/// A row's place as tiers have it, which is odd in one sample where it is even in the other: of two
/// neighbours each is a sample.
pub(super) const fn shifted(row: usize, number: usize) -> usize {
    const ODD: usize = 33;
    row + number * ODD
}

pub(super) fn tier(row: usize, number: usize) -> u32 {
    shifted(row, number).trailing_zeros().min(TOP_TIER)
}

/// What the hashes of a block's series are mixed with, so that other series come first in each block.
pub(super) fn salt(block: BlockId) -> u64 {
    let [high, low] = [u128::from(block.0) >> 64, u128::from(block.0)].map(|half| {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let half = half as u64;
        half
    });
    mix(high ^ mix(low))
}

/// The order of a row among samples: by tier, then by a hash of its series, which is another one for
/// each stretch of rows and each sample.
pub(super) fn order(tier: u32, row: usize, hash: u64, number: usize) -> u64 {
    /// Bits that hashes are left.
    const BITS: u32 = 60;
    let stretch = u64::try_from((row >> STRETCH) * SAMPLES + number).unwrap_or(u64::MAX);
    let hash = mix(hash ^ mix(stretch));
    u64::from(TOP_TIER - tier) << BITS | hash >> (u64::BITS - BITS)
}

/// The finalizer of `SplitMix64`.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
