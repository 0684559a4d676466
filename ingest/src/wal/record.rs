//! The log's record: one accepted request.
//!
//! ```text
//!  0 magic        4    12 request length 4    40 previous CRC  4    64 tenant
//!  4 CRC-32C      4    16 segment epoch  8    44 kind          1       request, lz4
//!  8 body length  4    24 sequence       8    45 tenant length 1
//!                      32 durable        8    46 version       2
//!                                             48 request hash 16
//! ```
//!
//! Integers are little-endian. The CRC covers the whole record but itself. The epoch comes from the
//! segment's name, so that bytes of another file, or of a file that lay there before, never pass.
//!
//! What `body length` counts follows the tenant. In version 1 it is the request, lz4; in version 2 the
//! second in which the request arrived (8 bytes, signed), then the request. A request of which nobody
//! knows when it arrived is written as version 1. All else is the same in every version, so that a
//! program which does not know a version can tell its records from damage, and says so.

use std::cell::RefCell;

use storage::ids::{BlockId, TenantId};
use xxhash_rust::xxh3::xxh3_64;

/// Marks the start of a record.
pub(crate) const MAGIC: [u8; 4] = *b"SPW1";
/// The newest version of the record that this build writes and reads.
pub(crate) const VERSION: u16 = 2;
/// The version of records that do not say when their request arrived.
const VERSION_WITHOUT_ARRIVAL: u16 = 1;
/// Bytes of a record before its tenant.
pub(crate) const HEADER_LEN: usize = 64;
/// More than any request that passes the limits; guards what a reader allocates.
const MAX_REQUEST_LEN: u32 = 1 << 30;

const KIND_SPANS: u8 = 1;

/// Longest buffer for compression that a thread keeps.
const KEPT_SCRATCH: usize = 4 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a record says, apart from its place in the segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) tenant: &'a str,
    /// Hash of the request as it was received.
    pub(crate) request_hash: u128,
    /// Length of the request before compression.
    pub(crate) request_len: u32,
    /// When the request arrived, whole seconds since the epoch, rounded up; `None` if nobody knows.
    pub(crate) received_s: Option<i64>,
    /// The request, lz4 block format.
    pub(crate) packed: &'a [u8],
}

/// Where a record stands among its tenant's and in its segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    /// Number of the record, counted from 1 over the tenant's records.
    pub(crate) seq: u64,
    /// All records up to this one were durable when this record was written.
    pub(crate) durable_seq: u64,
    /// CRC of the record before it in the segment; 0 for the first.
    pub(crate) previous_crc: u32,
}

/// A record as read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) place: Place,
    pub(crate) body: Body<'a>,
    pub(crate) crc: u32,
    /// Where it starts in the segment; 0 until the segment is scanned.
    pub(crate) start: usize,
    /// Bytes of the whole record.
    pub(crate) len: usize,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Not the bytes that were written.
    Damaged,
    /// A record of a version that this build does not know.
    Newer(u16),
}

/// The epoch of a segment.
pub(crate) fn epoch(segment: BlockId) -> u64 {
    xxh3_64(&segment.0.to_bytes())
}

/// The hash by which a repeated request is known.
pub(crate) fn request_hash(tenant: &TenantId, request: &[u8]) -> u128 {
    xxhash_rust::xxh3::xxh3_128_with_seed(request, xxh3_64(tenant.as_str().as_bytes()))
}

/// Compresses a request. `None` if it is too long for a record.
pub(crate) fn pack(request: &[u8]) -> Option<(Vec<u8>, u32)> {
    let len = u32::try_from(request.len())
        .ok()
        .filter(|len| *len <= MAX_REQUEST_LEN)?;
    let longest = lz4_flex::block::get_maximum_output_size(request.len());
    if longest > KEPT_SCRATCH {
        return Some((lz4_flex::block::compress(request), len));
    }
    // The compressor wants room for the worst case. What it needs is a fraction of that, and fresh
    // memory costs more than the compression.
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < longest {
            scratch.resize(longest, 0);
        }
        let packed_len = lz4_flex::block::compress_into(request, scratch).ok()?;
        Some((scratch[..packed_len].to_vec(), len))
    })
}

/// Appends a record to `out` and returns its CRC.
pub(crate) fn write(out: &mut Vec<u8>, place: Place, body: Body<'_>) -> u32 {
    let start = out.len();
    let second = body.received_s.map(i64::to_le_bytes);
    let (version, arrival) = match &second {
        Some(second) => (VERSION, &second[..]),
        None => (VERSION_WITHOUT_ARRIVAL, &[][..]),
    };
    // Both lengths fit: a tenant has at most 150 bytes, and a packed request was measured by `pack`.
    let body_len = u32::try_from(arrival.len() + body.packed.len()).unwrap_or(u32::MAX);
    let tenant_len = u8::try_from(body.tenant.len()).unwrap_or(u8::MAX);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&body_len.to_le_bytes());
    out.extend_from_slice(&body.request_len.to_le_bytes());
    out.extend_from_slice(&place.epoch.to_le_bytes());
    out.extend_from_slice(&place.seq.to_le_bytes());
    out.extend_from_slice(&place.durable_seq.to_le_bytes());
    out.extend_from_slice(&place.previous_crc.to_le_bytes());
    out.extend_from_slice(&[KIND_SPANS, tenant_len]);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&body.request_hash.to_le_bytes());
    out.extend_from_slice(body.tenant.as_bytes());
    out.extend_from_slice(arrival);
    out.extend_from_slice(body.packed);
    let crc = checksum(&out[start..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// Reads the record at the start of `bytes`, which must belong to the segment of this epoch.
pub(crate) fn read(bytes: &[u8], epoch: u64) -> Result<Record<'_>, Invalid> {
    let mut fields = Fields(bytes);
    if fields.take() != Some(MAGIC) {
        return Err(Invalid::Damaged);
    }
    let record = fields.parse(bytes).ok_or(Invalid::Damaged)?;
    if record.0.place.epoch != epoch {
        return Err(Invalid::Damaged);
    }
    if checksum(&bytes[..record.0.len]) != record.0.crc {
        return Err(Invalid::Damaged);
    }
    if record.1 > VERSION {
        return Err(Invalid::Newer(record.1));
    }
    Ok(record.0)
}

/// The request in a record.
pub(crate) fn unpack(body: &Body<'_>) -> Option<Vec<u8>> {
    // Length and bytes are covered by the CRC, so the length can be trusted.
    lz4_flex::block::decompress(body.packed, usize::try_from(body.request_len).ok()?).ok()
}

fn checksum(record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&record[..4]), &record[8..])
}

/// A cursor over little-endian fields.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn parse(mut self, bytes: &'a [u8]) -> Option<(Record<'a>, u16)> {
        let crc = u32::from_le_bytes(self.take()?);
        let body_len = u32::from_le_bytes(self.take()?);
        let request_len = u32::from_le_bytes(self.take()?);
        let epoch = u64::from_le_bytes(self.take()?);
        let seq = u64::from_le_bytes(self.take()?);
        let durable_seq = u64::from_le_bytes(self.take()?);
        let previous_crc = u32::from_le_bytes(self.take()?);
        let [kind, tenant_len] = self.take()?;
        let version = u16::from_le_bytes(self.take()?);
        let request_hash = u128::from_le_bytes(self.take()?);
        if request_len > MAX_REQUEST_LEN || (version <= VERSION && kind != KIND_SPANS) {
            return None;
        }
        let tenant = std::str::from_utf8(self.slice(usize::from(tenant_len))?).ok()?;
        let body = self.slice(usize::try_from(body_len).ok()?)?;
        let len = bytes.len() - self.0.len();
        let (received_s, packed) = if version == VERSION {
            let (second, packed) = body.split_first_chunk()?;
            (Some(i64::from_le_bytes(*second)), packed)
        } else {
            (None, body)
        };
        let record = Record {
            place: Place {
                epoch,
                seq,
                durable_seq,
                previous_crc,
            },
            body: Body {
                tenant,
                request_hash,
                request_len,
                received_s,
                packed,
            },
            crc,
            start: 0,
            len,
        };
        Some((record, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(received_s: Option<i64>) -> (Vec<u8>, Vec<u8>) {
        let request = b"request bytes, request bytes, request bytes".to_vec();
        let (packed, request_len) = pack(&request).unwrap();
        let mut out = Vec::new();
        write(
            &mut out,
            Place {
                epoch: 7,
                seq: 3,
                durable_seq: 2,
                previous_crc: 99,
            },
            Body {
                tenant: "acme",
                request_hash: 5,
                request_len,
                received_s,
                packed: &packed,
            },
        );
        (out, request)
    }

    #[test]
    fn a_record_reads_as_written() {
        for received_s in [None, Some(1_700_000_100), Some(0), Some(-1), Some(i64::MAX)] {
            let (bytes, request) = sample(received_s);
            let record = read(&bytes, 7).unwrap();
            assert_eq!(record.len, bytes.len());
            assert_eq!(
                (
                    record.place.seq,
                    record.place.durable_seq,
                    record.place.previous_crc
                ),
                (3, 2, 99)
            );
            assert_eq!((record.body.tenant, record.body.request_hash), ("acme", 5));
            assert_eq!(record.body.received_s, received_s);
            assert_eq!(unpack(&record.body).unwrap(), request);
            assert!(bytes.starts_with(&MAGIC) && bytes.len() > HEADER_LEN);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (bytes, _) = sample(Some(1_700_000_100));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(
                    read(&damaged, 7).unwrap_err(),
                    Invalid::Damaged,
                    "byte {at} bit {bit}"
                );
            }
            assert_eq!(
                read(&bytes[..at], 7).unwrap_err(),
                Invalid::Damaged,
                "cut at {at}"
            );
        }
        assert_eq!(read(&bytes, 8).unwrap_err(), Invalid::Damaged);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        for received_s in [None, Some(1_700_000_100)] {
            let (mut bytes, _) = sample(received_s);
            set_version(&mut bytes, 9);
            assert_eq!(read(&bytes, 7).unwrap_err(), Invalid::Newer(9));
        }
    }

    #[test]
    fn a_body_too_short_for_an_arrival_is_damage() {
        let mut bytes = Vec::new();
        let place = Place {
            epoch: 7,
            seq: 1,
            durable_seq: 0,
            previous_crc: 0,
        };
        let body = Body {
            tenant: "acme",
            request_hash: 5,
            request_len: 0,
            received_s: None,
            packed: &[0; 7],
        };
        write(&mut bytes, place, body);
        assert!(read(&bytes, 7).is_ok());
        set_version(&mut bytes, VERSION);
        assert_eq!(read(&bytes, 7).unwrap_err(), Invalid::Damaged);
    }

    fn set_version(record: &mut [u8], version: u16) {
        record[46..48].copy_from_slice(&version.to_le_bytes());
        let crc = checksum(record);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}
