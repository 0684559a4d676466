//! Reading a segment: which of its bytes are records, and which are not.

use std::ops::Range;

use super::record::{self, Invalid, MAGIC, Record};

/// What is in a segment.
#[derive(Debug, Default)]
pub(crate) struct Scan<'a> {
    /// The records, in file order.
    pub(crate) records: Vec<Record<'a>>,
    /// Bytes between, before or after records that are none.
    pub(crate) bad: Vec<Range<usize>>,
    /// Places where a record follows another than the one it was written after, although no bad
    /// bytes lie between: records were removed or moved.
    pub(crate) broken_chains: usize,
    /// Version of a record that this build cannot read.
    pub(crate) newer: Option<u16>,
}

impl Scan<'_> {
    /// Number of the last record that is known to have been durable; 0 if none is.
    pub(crate) fn durable_seq(&self) -> u64 {
        self.records
            .iter()
            .map(|r| r.place.durable_seq)
            .max()
            .unwrap_or(0)
    }

    /// Number of the last record; 0 if there is none.
    pub(crate) fn last_seq(&self) -> u64 {
        self.records.iter().map(|r| r.place.seq).max().unwrap_or(0)
    }

    /// The start of bad bytes that reach to the end of the file, as a write cut short leaves them.
    pub(crate) fn tail(&self, file_len: usize) -> Option<Range<usize>> {
        self.bad
            .last()
            .filter(|range| range.end == file_len)
            .cloned()
    }
}

/// Finds all records of a segment, past any damage.
pub(crate) fn scan(bytes: &[u8], epoch: u64) -> Scan<'_> {
    let mut found = Scan::default();
    let mut at = 0;
    let mut previous_crc = 0;
    let mut bad_from = None;
    while at < bytes.len() {
        match record::read(&bytes[at..], epoch) {
            Ok(record) => {
                match bad_from.take() {
                    Some(from) => found.bad.push(from..at),
                    None if record.place.previous_crc != previous_crc => found.broken_chains += 1,
                    None => {}
                }
                previous_crc = record.crc;
                found.records.push(Record {
                    start: at,
                    ..record
                });
                at += record.len;
            }
            Err(invalid) => {
                if let Invalid::Newer(version) = invalid {
                    found.newer = Some(version);
                }
                bad_from.get_or_insert(at);
                at = next_magic(bytes, at + 1);
            }
        }
    }
    if let Some(from) = bad_from {
        found.bad.push(from..bytes.len());
    }
    found
}

fn next_magic(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(MAGIC.len())
        .position(|window| window == MAGIC)
        .map_or(bytes.len(), |found| from + found)
}

#[cfg(test)]
mod tests {
    use super::super::record::{Body, Place, pack, write};
    use super::*;

    const EPOCH: u64 = 11;

    fn segment(records: u64) -> (Vec<u8>, Vec<Range<usize>>) {
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        let mut previous_crc = 0;
        for seq in 1..=records {
            let start = bytes.len();
            let (packed, request_len) = pack(format!("request number {seq}").as_bytes()).unwrap();
            previous_crc = write(
                &mut bytes,
                Place {
                    epoch: EPOCH,
                    seq,
                    durable_seq: seq - 1,
                    previous_crc,
                },
                Body {
                    tenant: "t",
                    request_hash: u128::from(seq),
                    request_len,
                    // Records of both versions, as after an update of the program.
                    received_s: (seq > 2).then_some(1_700_000_100),
                    packed: &packed,
                },
            );
            places.push(start..bytes.len());
        }
        (bytes, places)
    }

    fn seqs(scan: &Scan<'_>) -> Vec<u64> {
        scan.records.iter().map(|r| r.place.seq).collect()
    }

    #[test]
    fn an_unharmed_segment_has_only_records() {
        let (bytes, _) = segment(5);
        let found = scan(&bytes, EPOCH);
        assert_eq!(seqs(&found), [1, 2, 3, 4, 5]);
        assert!(found.bad.is_empty());
        assert_eq!(
            (found.broken_chains, found.durable_seq(), found.last_seq()),
            (0, 4, 5)
        );
    }

    #[test]
    fn any_damaged_byte_costs_its_own_record_only() {
        let (bytes, places) = segment(5);
        for (damaged, place) in places.iter().enumerate() {
            for at in place.clone() {
                for change in [0x01, 0x80, 0xff] {
                    let mut copy = bytes.clone();
                    copy[at] ^= change;
                    let found = scan(&copy, EPOCH);
                    let kept: Vec<u64> = (1..=5).filter(|seq| *seq != damaged as u64 + 1).collect();
                    assert_eq!(seqs(&found), kept, "byte {at}");
                    assert_eq!(found.bad, std::slice::from_ref(place), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn any_cut_inserted_or_zeroed_range_costs_what_it_touches_only() {
        let (bytes, places) = segment(4);
        for at in 0..=bytes.len() {
            let whole = places.iter().filter(|place| place.end <= at).count();
            assert_eq!(
                scan(&bytes[..at], EPOCH).records.len(),
                whole,
                "cut at {at}"
            );

            let mut longer = bytes.clone();
            longer.splice(at..at, [0u8; 7]);
            let untouched = places
                .iter()
                .filter(|place| at <= place.start || at >= place.end)
                .count();
            assert_eq!(
                scan(&longer, EPOCH).records.len(),
                untouched,
                "insert at {at}"
            );

            let end = (at + 32).min(bytes.len());
            let mut zeroed = bytes.clone();
            zeroed[at..end].fill(0);
            let intact = places
                .iter()
                .filter(|place| zeroed[(*place).clone()] == bytes[(*place).clone()])
                .count();
            assert_eq!(scan(&zeroed, EPOCH).records.len(), intact, "zeros at {at}");
        }
    }

    #[test]
    fn a_removed_or_moved_record_breaks_the_chain() {
        let (mut bytes, places) = segment(3);
        bytes.drain(places[1].clone());
        let found = scan(&bytes, EPOCH);
        assert_eq!((seqs(&found), found.broken_chains), (vec![1, 3], 1));
    }

    #[test]
    fn foreign_bytes_are_no_records() {
        let (bytes, _) = segment(3);
        assert!(scan(&bytes, EPOCH + 1).records.is_empty());
        let noise: Vec<u8> = MAGIC.iter().copied().cycle().take(4096).collect();
        let found = scan(&noise, EPOCH);
        assert!(found.records.is_empty());
        assert_eq!(found.bad, vec![0..4096]);
    }
}
