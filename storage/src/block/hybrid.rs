//! Parquet's hybrid of run lengths and bit packing, for levels and dictionary codes.

/// Shorter runs of equal values stay among the packed ones: a reader unpacks a few values faster than
/// it changes its mode.
const SHORTEST_RUN: usize = 32;

/// Bits per value that [`encode`] can write: those that do not straddle bytes.
pub(super) const WIDTHS: [u8; 7] = [1, 2, 4, 8, 16, 24, 32];

/// The narrowest of [`WIDTHS`] that holds a value.
pub(super) fn width_of(largest: u32) -> u8 {
    let bits = 32 - largest.leading_zeros();
    WIDTHS
        .into_iter()
        .find(|width| u32::from(*width) >= bits)
        .unwrap_or(32)
}

/// Appends values, each less than 2^`width`, with `width` one of [`WIDTHS`].
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
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

    /// Decodes as the format's description says, one value at a time.
    fn decode(mut bytes: &[u8], width: u8, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let (mut header, mut shift) = (0u64, 0);
            loop {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let number = usize::try_from(header >> 1).unwrap();
            if header & 1 == 0 {
                let len = usize::from(width.div_ceil(8));
                let mut value = [0; 4];
                value[..len].copy_from_slice(&bytes[..len]);
                bytes = &bytes[len..];
                out.extend(std::iter::repeat_n(u32::from_le_bytes(value), number));
            } else {
                for at in 0..number * 8 {
                    let bit = |bit: usize| u32::from(bytes[bit / 8] >> (bit % 8) & 1);
                    let value = (0..usize::from(width))
                        .map(|b| bit(at * usize::from(width) + b) << b)
                        .sum();
                    out.push(value);
                }
                bytes = &bytes[number * usize::from(width)..];
            }
        }
        assert!(bytes.is_empty());
        out.truncate(count);
        out
    }

    #[test]
    fn values_come_back_whatever_their_runs() {
        for width in WIDTHS {
            let largest = u32::MAX >> (32 - u32::from(width));
            for runs in [
                vec![1; 100],
                vec![0],
                vec![],
                vec![40],
                vec![3, 200, 1, 1, 33, 7, 31, 64, 1],
                vec![8, 32, 8, 1000, 2],
                vec![1, 39, 1, 38],
            ] {
                let values: Vec<u32> = (1u32..)
                    .zip(&runs)
                    .flat_map(|(i, run)| {
                        std::iter::repeat_n(i.wrapping_mul(0x9e37_79b9) & largest, *run)
                    })
                    .collect();
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                assert_eq!(
                    decode(&out, width, values.len()),
                    values,
                    "{width} {runs:?}"
                );
            }
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
