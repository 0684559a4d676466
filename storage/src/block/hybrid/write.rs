//! Writes the hybrid so that a compressor finds what repeats.

/// Shorter runs of equal values stay among the packed ones: a reader unpacks a few values faster than
/// it changes its mode.
const SHORTEST_RUN: usize = 32;

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
    let (mut packed_from, mut at) = (0, 0);
    while at < values.len() {
        let run = values[at..]
            .iter()
            .take_while(|value| **value == values[at])
            .count();
        // Packed values come in groups of eight.
        let filling = (packed_from..at).len().next_multiple_of(8) - (at - packed_from);
        if run >= filling + SHORTEST_RUN {
            pack(&values[packed_from..at + filling], width, out);
            varint(((run - filling) as u64) << 1, out);
            out.extend_from_slice(&values[at].to_le_bytes()[..usize::from(width.div_ceil(8))]);
            packed_from = at + run;
        }
        at += run;
    }
    pack(&values[packed_from..], width, out);
}

fn pack(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * usize::from(width);
    if width >= 8 {
        let bytes = usize::from(width / 8);
        values
            .iter()
            .for_each(|value| out.extend_from_slice(&value.to_le_bytes()[..bytes]));
    } else {
        for of_byte in values.chunks(usize::from(8 / width)) {
            let byte = of_byte
                .iter()
                .rev()
                .fold(0, |byte, value| byte << width | (*value & 0xff));
            out.push(byte.to_le_bytes()[0]);
        }
    }
    // The last group is filled up with zeros.
    out.resize(end, 0);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

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
