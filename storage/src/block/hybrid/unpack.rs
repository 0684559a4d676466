//! Numbers packed without gaps, lowest bits first, to numbers of whole bytes.

/// Widest numbers.
pub(super) const MAX_WIDTH: u32 = 32;
/// Numbers that are unpacked at once: they fill whole bytes, whatever their width.
pub(super) const BLOCK: usize = 8;
/// Bytes that unpacking a block looks at: 32 bytes of the widest numbers and a word beyond.
const WINDOW: usize = 40;

/// What numbers are read as.
pub(in crate::block) trait Number: Copy {
    /// Widest numbers that fit.
    const WIDTH: u32;

    /// A number that fits.
    fn of(number: u32) -> Self;
}

impl Number for u32 {
    const WIDTH: u32 = MAX_WIDTH;

    fn of(number: u32) -> Self {
        number
    }
}

impl Number for u8 {
    const WIDTH: u32 = 8;

    fn of(number: u32) -> Self {
        number.to_le_bytes()[0]
    }
}

pub(super) const fn mask(width: u32) -> u64 {
    (1 << width) - 1
}

#[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits at most")]
pub(super) const fn low(number: u64) -> u32 {
    number as u32
}

/// Up to eight bytes as a number; bytes that are not there are zero.
pub(super) fn word(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

/// Hands over bits from the one at `first` on, in words of at most 64.
pub(super) fn for_each_word(
    packed: &[u8],
    first: usize,
    count: usize,
    mut each: impl FnMut(u64, usize),
) {
    let (mut bit, end) = (first, first + count);
    while bit < end {
        let bits = (64 - bit % 8).min(end - bit);
        let bytes = packed.get(bit / 8..).unwrap_or_default();
        each(word(bytes) >> (bit % 8), bits);
        bit += bits;
    }
}

/// Unpacks one number.
pub(super) fn unpack_one(packed: &[u8], width: u32, number: usize) -> u32 {
    let bit = number * usize::try_from(width).unwrap_or_default();
    let bytes = packed.get(bit / 8..).unwrap_or_default();
    low((word(bytes) >> (bit % 8)) & mask(width))
}

/// Unpacks numbers from the one at `first` on.
pub(super) fn unpack<N: Number>(packed: &[u8], width: u32, first: usize, out: &mut [N]) {
    let one = |number: usize| N::of(unpack_one(packed, width, number));
    let to_boundary = (BLOCK - first % BLOCK) % BLOCK;
    let (head, rest) = out.split_at_mut(to_boundary.min(out.len()));
    for (number, slot) in (first..).zip(head) {
        *slot = one(number);
    }
    let first = first + to_boundary;
    let start = first / BLOCK * usize::try_from(width).unwrap_or_default();
    let blocks = unpack_blocks(packed.get(start..).unwrap_or_default(), width, rest);
    for (number, slot) in (first + blocks * BLOCK..).zip(&mut rest[blocks * BLOCK..]) {
        *slot = one(number);
    }
}

/// Unpacks whole blocks as long as there is a window of bytes, and says how many.
fn unpack_blocks<N: Number>(packed: &[u8], width: u32, out: &mut [N]) -> usize {
    macro_rules! by_width {
        ($($width:literal)+) => {
            match width {
                8 => whole_bytes::<1, N>(packed, out),
                16 => whole_bytes::<2, N>(packed, out),
                $($width => blocks_of::<$width, N>(packed, out),)+
                _ => {
                    out.fill(N::of(0));
                    out.len() / BLOCK
                }
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 9 10 11 12 13 14 15 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

/// Numbers of whole bytes, of which many are unpacked by one instruction.
fn whole_bytes<const BYTES: usize, N: Number>(packed: &[u8], out: &mut [N]) -> usize {
    let (numbers, _) = packed.as_chunks::<BYTES>();
    let blocks = numbers.len().min(out.len()) / BLOCK;
    for (slot, bytes) in out[..blocks * BLOCK].iter_mut().zip(numbers) {
        let mut number = [0; 4];
        number[..BYTES].copy_from_slice(bytes);
        *slot = N::of(u32::from_le_bytes(number));
    }
    blocks
}

/// With the width known, all places and shifts are constants.
fn blocks_of<const WIDTH: usize, N: Number>(packed: &[u8], out: &mut [N]) -> usize {
    let mask = (1_u64 << WIDTH) - 1;
    let (blocks, _) = out.as_chunks_mut::<BLOCK>();
    let mut done = 0;
    for block in blocks {
        let window = packed
            .get(done * WIDTH..)
            .and_then(<[u8]>::first_chunk::<WINDOW>);
        let Some(window) = window else {
            break;
        };
        for (number, slot) in block.iter_mut().enumerate() {
            let bit = number * WIDTH;
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&window[bit / 8..bit / 8 + 8]);
            *slot = N::of(low((u64::from_le_bytes(bytes) >> (bit % 8)) & mask));
        }
        done += 1;
    }
    done
}
