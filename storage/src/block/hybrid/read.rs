//! Reads the hybrid in order, number by number or run by run.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use prost::encoding::decode_varint;

use super::unpack::{BLOCK, MAX_WIDTH, Number, for_each_word, low, mask, unpack, unpack_one, word};
use crate::block::bits::Bits;

/// Bytes of the longest header of a run: 35 bits.
const LONGEST_HEADER: usize = 5;

/// Numbers of one width, read in order.
#[derive(Debug, Clone)]
pub(in crate::block) struct Hybrid {
    bytes: Bytes,
    width: u32,
    /// Where the next run starts.
    next: usize,
    run: Run,
}

/// What is left of a run.
#[derive(Debug, Clone)]
enum Run {
    Repeated {
        number: u32,
        left: usize,
    },
    Packed {
        /// Where the run's numbers start in the bytes.
        from: usize,
        /// How many numbers of the run were read.
        read: usize,
        left: usize,
    },
}

impl Hybrid {
    /// Numbers of so many bits.
    pub(in crate::block) fn new(bytes: Bytes, width: u32) -> Result<Self> {
        if width > MAX_WIDTH {
            return Err(damaged("a code of more than 32 bits"));
        }
        let run = Run::Repeated { number: 0, left: 0 };
        Ok(Self {
            bytes,
            width,
            next: 0,
            run,
        })
    }

    /// One number, over and over.
    pub(in crate::block) fn constant(number: u32) -> Self {
        let run = Run::Repeated {
            number,
            left: usize::MAX,
        };
        Self {
            bytes: Bytes::new(),
            width: 0,
            next: 0,
            run,
        }
    }

    /// Bits of a number.
    pub(in crate::block) fn width(&self) -> u32 {
        self.width
    }

    /// Reads as many numbers as there is room for.
    pub(in crate::block) fn read<N: Number>(&mut self, mut out: &mut [N]) -> Result<()> {
        if self.width > N::WIDTH {
            return Err(damaged("numbers that are too wide"));
        }
        while !out.is_empty() {
            let count = self.run()?.min(out.len());
            let (now, later) = out.split_at_mut(count);
            match self.run {
                Run::Repeated { number, .. } => now.fill(N::of(number)),
                Run::Packed { from, read, .. } => {
                    let packed = self.bytes.get(from..).unwrap_or_default();
                    unpack(packed, self.width, read, now);
                }
            }
            self.advance(count);
            out = later;
        }
        Ok(())
    }

    /// Reads so many numbers of at most eight bits as bytes: where they lie, if they lie together.
    pub(in crate::block) fn read_bytes(&mut self, count: usize) -> Result<Bytes> {
        if self.width == u8::BITS
            && count > 0
            && self.run()? >= count
            && let Run::Packed { from, read, .. } = self.run
        {
            let from = from + read;
            let bytes =
                (from + count <= self.bytes.len()).then(|| self.bytes.slice(from..from + count));
            self.advance(count);
            return bytes.ok_or_else(too_short);
        }
        let mut bytes = vec![0_u8; count];
        self.read(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Reads of the next `count` numbers those at some places among them, ascending.
    pub(in crate::block) fn pick(&mut self, count: usize, places: &[u32]) -> Result<Vec<u32>> {
        let mut picked = Vec::with_capacity(places.len());
        let (mut passed, mut places) = (0, places);
        while passed < count {
            let now = self.run()?.min(count - passed);
            let behind = |place: &u32| usize::try_from(*place).is_ok_and(|at| at < passed + now);
            let (inside, later) = places.split_at(places.partition_point(behind));
            match self.run {
                Run::Repeated { number, .. } => picked.resize(picked.len() + inside.len(), number),
                Run::Packed { from, read, .. } => {
                    let packed = self.bytes.get(from..).unwrap_or_default();
                    let numbers = inside
                        .iter()
                        .filter_map(|place| usize::try_from(*place).ok());
                    let numbers = numbers.map(|place| read + place - passed);
                    picked.extend(numbers.map(|number| unpack_one(packed, self.width, number)));
                }
            }
            self.advance(now);
            passed += now;
            places = later;
        }
        Ok(picked)
    }

    /// Reads so many numbers of one bit.
    pub(crate) fn read_bits(&mut self, mut count: usize, out: &mut Bits) -> Result<()> {
        if self.width != 1 {
            return Err(damaged("bits of another width"));
        }
        while count > 0 {
            let now = self.run()?.min(count);
            match self.run {
                Run::Repeated { number, .. } => out.push_same(number != 0, now),
                Run::Packed { from, read, .. } => {
                    let packed = self.bytes.get(from..).unwrap_or_default();
                    for_each_word(packed, read, now, |word, bits| out.push(word, bits));
                }
            }
            self.advance(now);
            count -= now;
        }
        Ok(())
    }

    /// Leaves out so many numbers.
    pub(in crate::block) fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            let skipped = self.run()?.min(count);
            self.advance(skipped);
            count -= skipped;
        }
        Ok(())
    }

    /// The number that the next `count` ones all are, if that can be seen without reading them.
    pub(in crate::block) fn repeated(&mut self, count: usize) -> Result<Option<u32>> {
        if count == 0 || self.run()? < count {
            return Ok(None);
        }
        Ok(match self.run {
            Run::Repeated { number, .. } => Some(number),
            Run::Packed { .. } => None,
        })
    }

    /// How many numbers are left of the run, which is made to be one with some left.
    fn run(&mut self) -> Result<usize> {
        loop {
            let (Run::Repeated { left, .. } | Run::Packed { left, .. }) = self.run;
            if left > 0 {
                return Ok(left);
            }
            self.run = self.next_run()?;
        }
    }

    fn advance(&mut self, count: usize) {
        match &mut self.run {
            Run::Repeated { left, .. } => *left -= count,
            Run::Packed { read, left, .. } => {
                *read += count;
                *left -= count;
            }
        }
    }

    fn next_run(&mut self) -> Result<Run> {
        let header = self.header()?;
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        let width = usize::try_from(self.width).unwrap_or_default();
        if header & 1 == 0 {
            let bytes = self.take(width.div_ceil(8))?;
            let number = word(self.bytes.get(bytes..self.next).unwrap_or_default());
            let mask = mask(self.width);
            return Ok(Run::Repeated {
                number: low(number & mask),
                left: count,
            });
        }
        let length = count.checked_mul(width).ok_or_else(too_short)?;
        let from = self.next;
        // A writer may leave out the bytes behind the last number that counts.
        let there = length.min(self.bytes.len().saturating_sub(from));
        self.next += there;
        let left = match width {
            0 => count.saturating_mul(BLOCK),
            _ => (there * 8) / width,
        };
        Ok(Run::Packed {
            from,
            read: 0,
            left,
        })
    }

    fn header(&mut self) -> Result<u64> {
        let left = self.bytes.get(self.next..).unwrap_or_default();
        let window = &left[..left.len().min(LONGEST_HEADER)];
        let mut after = window;
        let header = decode_varint(&mut after).map_err(|_| {
            if window.len() < LONGEST_HEADER {
                too_short()
            } else {
                damaged("a run of more than 2^35 numbers")
            }
        })?;
        self.next += window.len() - after.len();
        Ok(header)
    }

    /// Goes over so many bytes, and says where they start.
    fn take(&mut self, count: usize) -> Result<usize> {
        let from = self.next;
        let to = from.checked_add(count).ok_or_else(too_short)?;
        if to > self.bytes.len() {
            return Err(too_short());
        }
        self.next = to;
        Ok(from)
    }
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

fn too_short() -> ParquetError {
    ParquetError::EOF("a page has fewer codes than rows".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::encoding::encode_varint;

    use super::*;

    /// Encodes runs as a writer may: repeated ones, and packed ones filled up with zeros.
    fn encode(runs: &[(bool, Vec<u32>)], width: u32) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        let header = |bytes: &mut Vec<u8>, header: usize| encode_varint(header as u64, bytes);
        for (packed, run) in runs {
            let run: Vec<u32> = run
                .iter()
                .map(|&n| low(u64::from(n) & mask(width)))
                .collect();
            if *packed {
                let groups = run.len().div_ceil(8);
                header(&mut bytes, groups << 1 | 1);
                let mut padded = run.clone();
                padded.resize(groups * 8, 0);
                let mut bits = vec![false; groups * 8 * width as usize];
                for (at, number) in padded.iter().enumerate() {
                    for bit in 0..width as usize {
                        bits[at * width as usize + bit] = number >> bit & 1 == 1;
                    }
                }
                for byte in bits.chunks(8) {
                    let set = byte.iter().enumerate().filter(|(_, set)| **set);
                    bytes.push(set.fold(0, |byte, (bit, _)| byte | 1 << bit));
                }
                numbers.extend(padded);
            } else if let Some(&number) = run.first() {
                header(&mut bytes, run.len() << 1);
                bytes.extend(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
                numbers.extend(std::iter::repeat_n(number, run.len()));
            }
        }
        (bytes, numbers)
    }

    #[test]
    fn headers_have_35_bits_at_most() {
        let read = |bytes: &[u8]| {
            let mut hybrid = Hybrid::new(Bytes::copy_from_slice(bytes), 0).unwrap();
            hybrid.read(&mut [7_u32]).map_err(|error| error.to_string())
        };
        assert_eq!(read(&[0xfe, 0xff, 0xff, 0xff, 0x7f]), Ok(()));
        assert_eq!(read(&[0x82, 0x80, 0x80, 0x80, 0x00]), Ok(()));
        assert_eq!(read(&[0xff; 4]), read(&[]));
        assert_ne!(read(&[0xff; 5]), read(&[]));
        assert_eq!(
            read(&[0xff; 5]),
            read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
        );
    }

    proptest! {
        #[test]
        fn reads_what_was_written(
            width in 0_u32..=32,
            runs in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u32>(), 1..70)), 0..6),
            steps in prop::collection::vec((any::<bool>(), 0_usize..40, prop_oneof![Just(0), any::<u64>()]), 0..40),
        ) {
            let (bytes, numbers) = encode(&runs, width);
            let mut hybrid = Hybrid::new(Bytes::from(bytes), width).unwrap();
            let mut at = 0;
            for (skip, count, wanted) in steps {
                let count = count.min(numbers.len() - at);
                let expected = &numbers[at..at + count];
                if count > 0 && let Some(number) = hybrid.repeated(count).unwrap() {
                    prop_assert!(expected.iter().all(|n| *n == number));
                }
                if skip && wanted == 0 {
                    hybrid.skip(count).unwrap();
                } else if skip {
                    let places: Vec<u32> =
                        (0..).take(count).filter(|place| wanted >> place & 1 == 1).collect();
                    let expected = places.iter().map(|place| expected[*place as usize]);
                    let picked = hybrid.pick(count, &places).unwrap();
                    prop_assert_eq!(picked, expected.collect::<Vec<_>>());
                } else if width == 1 {
                    let mut read = Bits::default();
                    hybrid.read_bits(count, &mut read).unwrap();
                    let expected = expected.iter().map(|n| *n == 1);
                    let read: Vec<bool> = (0..count).map(|row| read.get(row)).collect();
                    prop_assert_eq!(read, expected.collect::<Vec<_>>());
                } else if width <= 8 && count.is_multiple_of(2) {
                    let read = hybrid.read_bytes(count).unwrap();
                    let read: Vec<u32> = read.into_iter().map(u32::from).collect();
                    prop_assert_eq!(&read[..], expected);
                } else {
                    let mut read = vec![7_u32; count];
                    hybrid.read(&mut read).unwrap();
                    prop_assert_eq!(&read[..], expected);
                }
                at += count;
            }
            hybrid.skip(numbers.len() - at).unwrap();
            if width <= u8::BITS {
                prop_assert!(hybrid.read_bytes(0).unwrap().is_empty());
            }
            prop_assert!(hybrid.read(&mut [0_u32]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            width in 0_u32..40,
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Ok(mut hybrid) = Hybrid::new(Bytes::from(bytes), width) {
                let _outcome = hybrid.read(&mut [0_u32; 100]);
                let _outcome = hybrid.read_bytes(100);
                let _outcome = hybrid.pick(100, &[0, 7, 99, 100]);
                let _outcome = hybrid.skip(usize::MAX);
            }
        }
    }
}
