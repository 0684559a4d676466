//! Writes the hybrid so that a compressor finds what repeats.

use std::ops::Range;

use arrow::buffer::BooleanBuffer;
use prost::encoding::encode_varint;

/// Shorter runs of equal values stay among the packed ones: a reader unpacks a few values faster than
/// it changes its mode.
const SHORTEST_RUN: usize = 32;

/// Any run so long holds a block of so many values that begins at a multiple of this.
const BLOCK: usize = SHORTEST_RUN / 2;

/// Bits per value that [`encode`] can write: those that do not straddle bytes.
pub(super) const WIDTHS: [u8; 7] = [1, 2, 4, 8, 16, 24, 32];

/// The narrowest of [`WIDTHS`] that holds a value.
pub(in crate::block) fn width_of(largest: u32) -> u8 {
    let bits = 32 - largest.leading_zeros();
    WIDTHS
        .into_iter()
        .find(|width| u32::from(*width) >= bits)
        .unwrap_or(32)
}

/// Appends values, each less than 2^`width`, with `width` one of [`WIDTHS`].
pub(in crate::block) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let long_run = |from| long_run(values, from);
    let pack = |packed: Range<usize>, out: &mut Vec<u8>| pack(&values[packed], width, out);
    encode_runs(values.len(), width, long_run, |at| values[at], pack, out);
}

/// Appends values of one bit.
pub(in crate::block) fn encode_bits(values: &BooleanBuffer, out: &mut Vec<u8>) {
    let aligned = values.sliced();
    let long_run = |from| long_run_of_bits(values, &aligned, from);
    let pack = |packed: Range<usize>, out: &mut Vec<u8>| {
        pack_bits(&values.slice(packed.start, packed.len()), out);
    };
    let value = |at| u32::from(values.value(at));
    encode_runs(values.len(), 1, long_run, value, pack, out);
}

/// Appends so many values: long runs, which `long_run` finds from some value on, each as one, and what
/// is between them packed.
fn encode_runs(
    count: usize,
    width: u8,
    long_run: impl Fn(usize) -> Option<Range<usize>>,
    value: impl Fn(usize) -> u32,
    pack: impl Fn(Range<usize>, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let (mut packed_from, mut from) = (0, 0);
    while let Some(run) = long_run(from) {
        if let Some(repeated) = repeated(packed_from, &run) {
            pack(packed_from..repeated.start, out);
            repeat(repeated.len(), value(run.start), width, out);
            packed_from = run.end;
        }
        from = run.end;
    }
    pack(packed_from..count, out);
}

/// What of a run is written as one, if the values from `packed_from` up to it are not yet written: they
/// are packed, in groups of eight, and the first of the run fill the last group.
fn repeated(packed_from: usize, run: &Range<usize>) -> Option<Range<usize>> {
    let before = run.start - packed_from;
    let start = packed_from + before.next_multiple_of(8);
    (start + SHORTEST_RUN <= run.end).then_some(start..run.end)
}

/// The next run that may be written as one, whole.
fn long_run(values: &[u32], from: usize) -> Option<Range<usize>> {
    let mut at = from.next_multiple_of(BLOCK);
    while let Some(block) = values.get(at..at + BLOCK) {
        let value = block[0];
        // Without a branch for each.
        if block
            .iter()
            .fold(0, |differs, other| differs | (other ^ value))
            != 0
        {
            at += BLOCK;
            continue;
        }
        let is_equal = |other: &&u32| **other == value;
        let before = values[from..at].iter().rev().take_while(is_equal).count();
        let run = at - before..at + values[at..].iter().take_while(is_equal).count();
        if run.len() >= SHORTEST_RUN {
            return Some(run);
        }
        at = run.end.next_multiple_of(BLOCK);
    }
    None
}

/// As [`long_run`], of bits; `aligned` are their bytes.
fn long_run_of_bits(values: &BooleanBuffer, aligned: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from.next_multiple_of(BLOCK);
    while at + BLOCK <= values.len() {
        let byte = aligned[at / 8];
        if byte != aligned[at / 8 + 1] || !matches!(byte, 0 | 0xff) {
            at += BLOCK;
            continue;
        }
        let is_equal = |index: &usize| values.value(*index) == (byte != 0);
        let before = (from..at).rev().take_while(is_equal).count();
        let bytes = aligned[at / 8..values.len() / 8].iter();
        let end = at + 8 * bytes.take_while(|other| **other == byte).count();
        let run = at - before..end + (end..values.len()).take_while(is_equal).count();
        if run.len() >= SHORTEST_RUN {
            return Some(run);
        }
        at = run.end.next_multiple_of(BLOCK);
    }
    None
}

fn repeat(count: usize, value: u32, width: u8, out: &mut Vec<u8>) {
    encode_varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

/// Appends the header of packed values, and says how many groups of eight follow.
fn pack_header(count: usize, out: &mut Vec<u8>) -> usize {
    let groups = count.div_ceil(8);
    encode_varint((groups as u64) << 1 | 1, out);
    groups
}

fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = pack_header(values.len(), out);
    let end = out.len() + groups * usize::from(width);
    match width {
        1 => pack_bytes::<8>(values, out),
        2 => pack_bytes::<4>(values, out),
        4 => pack_bytes::<2>(values, out),
        8 => out.extend(values.iter().map(|value| value.to_le_bytes()[0])),
        16 => out.extend(values.iter().flat_map(|value| low::<2>(*value))),
        24 => out.extend(values.iter().flat_map(|value| low::<3>(*value))),
        _ => out.extend(values.iter().flat_map(|value| low::<4>(*value))),
    }
    // The last group is filled up with zeros.
    out.resize(end, 0);
}

/// Packs so many values into each byte.
fn pack_bytes<const VALUES: usize>(values: &[u32], out: &mut Vec<u8>) {
    let byte = |values: &[u32]| {
        let lowest_last = values.iter().rev();
        let byte = lowest_last.fold(0, |byte, value| byte << (8 / VALUES) | value & 0xff);
        byte.to_le_bytes()[0]
    };
    let (whole, rest) = values.as_chunks::<VALUES>();
    out.extend(whole.iter().map(|values| byte(values)));
    if !rest.is_empty() {
        out.push(byte(rest));
    }
}

fn low<const BYTES: usize>(value: u32) -> [u8; BYTES] {
    std::array::from_fn(|byte| value.to_le_bytes()[byte])
}

fn pack_bits(values: &BooleanBuffer, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = pack_header(values.len(), out);
    let end = out.len() + groups;
    let words = values.bit_chunks();
    out.extend(words.iter_padded().flat_map(u64::to_le_bytes));
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As [`encode`] is meant, run by run.
    fn plainly(values: &[u32], width: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let (mut packed_from, mut at) = (0, 0);
        for run in values.chunk_by(|a, b| a == b) {
            let run = at..at + run.len();
            at = run.end;
            if let Some(repeated) = repeated(packed_from, &run) {
                pack(&values[packed_from..repeated.start], width, &mut out);
                repeat(repeated.len(), values[run.start], width, &mut out);
                packed_from = run.end;
            }
        }
        pack(&values[packed_from..], width, &mut out);
        out
    }

    proptest! {
        #[test]
        fn all_runs_are_found(
            runs in prop::collection::vec((0_u32..3, prop_oneof![1_usize..4, 1_usize..80]), 0..40),
            skipped in 0_usize..70,
        ) {
            let values = runs.iter().flat_map(|(value, run)| std::iter::repeat_n(*value, *run));
            let values: Vec<u32> = values.collect();
            for width in WIDTHS {
                let values: Vec<u32> = values.iter().map(|value| value % (1 << width.min(2))).collect();
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                prop_assert_eq!(out, plainly(&values, width));
            }
            let bits: Vec<bool> = values.iter().map(|value| *value > 0).collect();
            let skipped = skipped.min(bits.len());
            let expected: Vec<u32> = bits[skipped..].iter().map(|bit| u32::from(*bit)).collect();
            let bits = BooleanBuffer::from(bits).slice(skipped, expected.len());
            let mut out = Vec::new();
            encode_bits(&bits, &mut out);
            prop_assert_eq!(out, plainly(&expected, 1));
        }
    }

    #[test]
    fn a_long_run_costs_a_few_bytes() {
        let mut out = Vec::new();
        encode(&vec![7; 20_000], 8, &mut out);
        assert_eq!(out.len(), 4);
    }

    #[test]
    fn widths_hold_their_values() {
        let widths = [0, 1, 2, 3, 4, 15, 16, 255, 256, 65_535, 65_536, u32::MAX].map(width_of);
        assert_eq!(widths, [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 24, 32]);
    }
}
