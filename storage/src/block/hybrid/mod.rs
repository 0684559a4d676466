//! Parquet's hybrid of runs and bit-packed numbers: dictionary codes, definition levels, booleans.
//!
//! A sequence of runs. A header `2n` (LEB128) is followed by one number in as few whole bytes as its
//! width needs, repeated `n` times; a header `2n + 1` by `8n` numbers packed without gaps, lowest bits
//! first. <https://parquet.apache.org/docs/file-format/data-pages/encodings/>
//!
//! [`mod@read`] takes whatever a writer may have made, with [`unpack`] for packed numbers; [`mod@write`]
//! makes what compresses well.

mod read;
mod unpack;
mod write;

pub(super) use read::Hybrid;
pub(super) use write::{encode, encode_bits, width_of};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::write::WIDTHS;
    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            width in prop::sample::select(&WIDTHS[..]),
            runs in prop::collection::vec((any::<u32>(), prop_oneof![1_usize..4, 1_usize..100]), 0..40),
        ) {
            let largest = u32::MAX >> (32 - u32::from(width));
            let values: Vec<u32> = runs
                .iter()
                .flat_map(|(value, run)| std::iter::repeat_n(value & largest, *run))
                .collect();
            let mut written = Vec::new();
            encode(&values, width, &mut written);
            let mut read = vec![7_u32; values.len()];
            let mut hybrid = Hybrid::new(Bytes::from(written), u32::from(width)).unwrap();
            hybrid.read(&mut read).unwrap();
            prop_assert_eq!(read, values);
            // Nothing is left but what fills up the last group of eight.
            prop_assert!(hybrid.skip(8).is_err());
        }
    }
}
