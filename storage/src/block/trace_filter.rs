//! A split-block Bloom filter over trace ids: which may be in a block.
//!
//! It is a file of its own beside the block's, because look-ups by id need it and nothing else does.
//!
//! The filter is an array of 32-byte blocks of eight little-endian 32-bit words. XXH3-64 of the id
//! chooses a block by its upper half and one bit in each word by its lower half: the scheme of the
//! Parquet specification with another hash.

use xxhash_rust::xxh3::xxh3_64;

use bytes::Bytes;

use crate::block::meta::FilterFile;
use crate::ids::TraceId;

/// Lets through 0.5 % of ids that are not there; 10 bits let through 1.2 %.
const BITS_PER_ID: usize = 12;
const BLOCK_BYTES: usize = 32;
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Which trace ids may be in a block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceIdFilter {
    /// Whole blocks of the filter; none let everything through.
    bits: Bytes,
}

impl TraceIdFilter {
    /// A filter of these bits, blocks of 32 bytes; without any it lets everything through.
    #[must_use]
    pub fn from_bits(bits: Bytes) -> Self {
        Self { bits }
    }

    /// The bits of the filter.
    #[must_use]
    pub fn bits(&self) -> &Bytes {
        &self.bits
    }

    /// What a description says of the filter's file.
    #[must_use]
    pub fn file(&self) -> FilterFile {
        FilterFile {
            size_bytes: self.bits.len() as u64,
            crc32c: crc32c::crc32c(&self.bits),
        }
    }

    /// A filter that lets through the given ids, and less than one in a hundred others.
    #[must_use]
    pub fn build(ids: &[TraceId]) -> Self {
        let blocks = (ids.len() * BITS_PER_ID).div_ceil(BLOCK_BYTES * 8).max(1);
        let mut bits = vec![0u8; blocks * BLOCK_BYTES];
        for id in ids {
            for (byte, bit) in positions(*id, blocks) {
                bits[byte] |= bit;
            }
        }
        Self { bits: bits.into() }
    }

    /// Whether the trace may be in the block. False is certain.
    #[must_use]
    pub fn contains(&self, id: TraceId) -> bool {
        let blocks = self.bits.len() / BLOCK_BYTES;
        blocks == 0 || positions(id, blocks).all(|(byte, bit)| self.bits[byte] & bit != 0)
    }
}

fn positions(id: TraceId, blocks: usize) -> impl Iterator<Item = (usize, u8)> {
    let hash = xxh3_64(&id.0);
    let block = ((hash >> 32) * blocks as u64) >> 32;
    let base = usize::try_from(block).unwrap_or(0) * BLOCK_BYTES;
    let key = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
    SALT.into_iter().enumerate().map(move |(word, salt)| {
        let bit = key.wrapping_mul(salt) >> 27;
        (base + word * 4 + (bit / 8) as usize, 1u8 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TraceId {
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        TraceId(bytes)
    }

    #[test]
    fn holds_all_that_was_put_in_and_little_else() {
        let ids: Vec<TraceId> = (0..10_000).map(id).collect();
        let filter = TraceIdFilter::build(&ids);
        assert!(ids.iter().all(|id| filter.contains(*id)));
        let wrong = (10_000..110_000)
            .filter(|n| filter.contains(id(*n)))
            .count();
        assert!(wrong < 1_000, "{wrong} of 100,000 others let through");
        assert_eq!(filter.bits.len() * 8 / ids.len(), 12);
    }

    #[test]
    fn an_empty_filter_may_hold_anything() {
        assert!(TraceIdFilter::default().contains(id(1)));
        assert!(!TraceIdFilter::build(&[]).contains(id(1)));
    }
}
