//! Spans by the code of a value and the place they are counted at.
//!
//! Where codes and places are few, each pair of them has a cell, and counting is an addition. Where
//! they are many, such as the intervals of a long range for each of a hundred thousand users, most
//! cells would stay empty: there the pairs are written down one after the other, and sorted by code
//! when there are enough of them.

use storage::block::encoded::{Coded, RowCodes};

use super::places::Places;
use super::spans::{Side, place};

/// Most cells, and most pairs that are written down: 4 MiB of either.
const MAX_CELLS: usize = 1 << 19;
/// Codes that are handed over together.
const DRAINED_CODES: usize = 16;
/// Up to so many codes are counted in several tables at once.
const FEW_CODES: usize = 256;

/// Counts of spans by code and place.
#[derive(Debug)]
pub(super) struct CodeCounts {
    /// Places of each code.
    places: usize,
    cells: CodeCells,
}

#[derive(Debug)]
enum CodeCells {
    /// A count for each pair.
    Dense(Table),
    /// Code and place of each span.
    Log(Vec<(u32, u32)>),
}

/// Counts place by place: rows that are counted together are mostly of one interval.
#[derive(Debug, Default)]
struct Table {
    cells: Vec<u64>,
    /// Codes that each place has room for.
    codes: usize,
}

impl Table {
    /// Makes room for codes below `codes` at so many places.
    fn grow(&mut self, codes: usize, places: usize) {
        if codes <= self.codes {
            return;
        }
        let mut cells = vec![0; codes * places];
        if self.codes > 0 {
            let rows = cells.chunks_exact_mut(codes);
            for (new, old) in rows.zip(self.cells.chunks_exact(self.codes)) {
                new[..old.len()].copy_from_slice(old);
            }
        }
        *self = Self { cells, codes };
    }

    /// The counts at a place.
    fn at(&mut self, place: u32) -> &mut [u64] {
        let from = place as usize * self.codes;
        let cells = self.cells.get_mut(from..from + self.codes);
        cells.unwrap_or_default()
    }

    fn add(&mut self, code: u32, place: u32, spans: u64) {
        if let Some(cell) = self.at(place).get_mut(code as usize) {
            *cell += spans;
        }
    }

    fn add_rows(&mut self, codes: &RowCodes, places: &Places) {
        if let (Coded::Same(code), true) = (codes.codes(), codes.present() == codes.rows()) {
            for &(place, spans) in places.counts() {
                self.add(code, place, spans);
            }
            return;
        }
        let Some(interval) = places.interval() else {
            codes.each_of(places.kept(), |row, code| {
                self.add(code, places.of_row(row), 1);
            });
            return;
        };
        let baseline = place(interval, Side::Baseline);
        let selection = place(interval, Side::Selection);
        if let Coded::Same(code) = codes.codes() {
            let selected = codes.present_of(places.selected());
            let kept = codes.present_of(places.kept());
            self.add(code, baseline, (kept - selected) as u64);
            self.add(code, selection, selected as u64);
            return;
        }
        // Few spans are selected, as a rule: all are counted, and those then moved.
        match codes.codes() {
            Coded::Each(codes) if places.keeps_all() => count(self.at(baseline), codes),
            _ => {
                let counts = self.at(baseline);
                codes.each_of(places.kept(), |_, code| add_one(counts, code));
            }
        }
        codes.each_of(places.selected(), |_, code| {
            self.add(code, selection, 1);
            if let Some(cell) = self.at(baseline).get_mut(code as usize) {
                *cell -= 1;
            }
        });
    }
}

#[inline]
fn add_one(counts: &mut [u64], code: u32) {
    if let Some(count) = counts.get_mut(code as usize) {
        *count += 1;
    }
}

/// Counts codes.
fn count(counts: &mut [u64], codes: &[u32]) {
    if counts.len() > FEW_CODES || codes.len() < FEW_CODES {
        for &code in codes {
            add_one(counts, code);
        }
        return;
    }
    // Neighbours often have the same code, and an addition to what was just written has to wait.
    let mut lanes = [[0_u32; FEW_CODES]; 4];
    let (fours, rest) = codes.as_chunks::<4>();
    for four in fours {
        for (lane, &code) in lanes.iter_mut().zip(four) {
            lane[code as usize % FEW_CODES] += 1;
        }
    }
    for lane in &lanes {
        for (count, &more) in counts.iter_mut().zip(lane) {
            *count += u64::from(more);
        }
    }
    for &code in rest {
        add_one(counts, code);
    }
}

impl CodeCounts {
    /// Counts nothing yet, at so many places.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places,
            cells: CodeCells::Dense(Table::default()),
        }
    }

    /// Whether codes below `codes` can be counted, as far as that does not depend on the spans.
    /// Makes room for them if so. If not, what is counted has to be drained first.
    pub(super) fn make_room(&mut self, codes: usize) -> bool {
        match &mut self.cells {
            CodeCells::Dense(table) => {
                let is_room = codes.saturating_mul(self.places) <= MAX_CELLS;
                if is_room {
                    table.grow(codes, self.places);
                }
                is_room
            }
            CodeCells::Log(log) => log.len() < MAX_CELLS,
        }
    }

    /// Begins anew, with codes below `codes`. What is counted has to be drained before.
    pub(super) fn restart(&mut self, codes: usize) {
        if codes.saturating_mul(self.places) > MAX_CELLS {
            if let CodeCells::Dense(_) = &self.cells {
                self.cells = CodeCells::Log(Vec::new());
            }
            return;
        }
        let mut table = match std::mem::replace(&mut self.cells, CodeCells::Log(Vec::new())) {
            CodeCells::Dense(table) => table,
            CodeCells::Log(_) => Table::default(),
        };
        table.cells.clear();
        table.cells.resize(codes * self.places, 0);
        table.codes = codes;
        self.cells = CodeCells::Dense(table);
    }

    /// Counts the rows that have a code, for which there has to be room.
    pub(super) fn add(&mut self, codes: &RowCodes, places: &Places) {
        match &mut self.cells {
            CodeCells::Dense(table) => table.add_rows(codes, places),
            CodeCells::Log(log) => codes.each_of(places.kept(), |row, code| {
                log.push((code, places.of_row(row)));
            }),
        }
    }

    /// Hands over what is counted, code by code: places with their spans. A place may come again.
    pub(super) fn drain(&mut self, mut each: impl FnMut(u32, &[(u32, u64)])) {
        match &mut self.cells {
            CodeCells::Dense(table) => {
                // A few codes at a time, whose cells stand together at each place.
                let mut together: [Vec<(u32, u64)>; DRAINED_CODES] = Default::default();
                for first in (0..table.codes).step_by(DRAINED_CODES) {
                    for (place, cells) in (0..).zip(table.cells.chunks_exact(table.codes)) {
                        for (spans, &count) in together.iter_mut().zip(&cells[first..]) {
                            if count > 0 {
                                spans.push((place, count));
                            }
                        }
                    }
                    for (code, spans) in (first..).zip(&mut together) {
                        if !spans.is_empty() {
                            each(u32::try_from(code).unwrap_or(u32::MAX), spans);
                            spans.clear();
                        }
                    }
                }
                table.cells.fill(0);
            }
            CodeCells::Log(log) => {
                let (ends, places) = by_code(log);
                log.clear();
                let mut spans: Vec<(u32, u64)> = Vec::new();
                let mut start = 0;
                for (code, end) in (0..).zip(ends) {
                    for &place in &places[start..end] {
                        match spans.last_mut() {
                            Some((last, spans)) if *last == place => *spans += 1,
                            _ => spans.push((place, 1)),
                        }
                    }
                    if !spans.is_empty() {
                        each(code, &spans);
                        spans.clear();
                    }
                    start = end;
                }
            }
        }
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> usize {
        match &self.cells {
            CodeCells::Dense(table) => table.cells.capacity() * size_of::<u64>(),
            // Sorting takes half as much again, and an offset for each code.
            CodeCells::Log(log) => 2 * log.capacity() * size_of::<(u32, u32)>(),
        }
    }
}

/// The places of a log, those of each code together and in the order of the log, and where those of
/// each code end.
fn by_code(log: &[(u32, u32)]) -> (Vec<usize>, Vec<u32>) {
    let codes = log.iter().map(|&(code, _)| code as usize + 1).max();
    // First how many there are, then where the first of them goes, which moves to the end.
    let mut ends = vec![0; codes.unwrap_or(0)];
    for &(code, _) in log {
        ends[code as usize] += 1;
    }
    let mut start = 0;
    for end in &mut ends {
        start += std::mem::replace(end, start);
    }
    let mut places = vec![0; log.len()];
    for &(code, place) in log {
        let end = &mut ends[code as usize];
        places[*end] = place;
        *end += 1;
    }
    (ends, places)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use storage::block::encoded::Bits;

    use super::*;
    use crate::compare::places::RowIntervals;

    /// Spans by code and place.
    type Counts = BTreeMap<(u32, u32), u64>;

    /// Everything that is counted.
    fn drained(counts: &mut CodeCounts) -> Counts {
        let mut all = BTreeMap::new();
        counts.drain(|code, spans| {
            for &(place, spans) in spans {
                *all.entry((code, place)).or_default() += spans;
            }
        });
        all
    }

    fn rows(codes: &[Option<u32>]) -> RowCodes {
        let mut rows = RowCodes::default();
        let each: Vec<u32> = codes.iter().map(|code| code.unwrap_or(0)).collect();
        rows.set_each(&each, Some(|row: usize| codes[row].is_some()));
        rows
    }

    /// A number that looks random.
    fn scrambled(n: u32) -> u32 {
        n.wrapping_mul(2_654_435_761) >> 8
    }

    /// Rows of many kinds, with everything that there is to count in them.
    fn many_rows() -> (Vec<(RowCodes, Places)>, Counts) {
        let mut all = Vec::new();
        let mut expected = BTreeMap::new();
        for kind in 0..48 {
            let count: u32 = [5, 64, 300, 1500][kind as usize % 4];
            let codes = |n: u32| match kind % 3 {
                0 => Some(7),
                1 => (!scrambled(n + kind).is_multiple_of(3)).then_some(9),
                _ => (!scrambled(n).is_multiple_of(4)).then_some(scrambled(n + kind) % 97),
            };
            let codes: Vec<Option<u32>> = (0..count).map(codes).collect();
            let listed = |test: &dyn Fn(u32) -> bool| -> Vec<u32> {
                (0..count).filter(|row| test(*row)).collect()
            };
            let kept = listed(&|row| kind % 2 == 0 || !scrambled(row + 1).is_multiple_of(5));
            let selected = listed(&|row| scrambled(row + kind + 2).is_multiple_of(10));
            let intervals = if kind < 24 {
                RowIntervals::Same(kind % 5)
            } else {
                RowIntervals::Each((0..count).map(|row| row / 400).collect())
            };
            for &row in &kept {
                let interval = match &intervals {
                    RowIntervals::Same(interval) => *interval,
                    RowIntervals::Each(each) => each[row as usize],
                };
                if let Some(code) = codes[row as usize] {
                    let place = 2 * interval + u32::from(selected.contains(&row));
                    *expected.entry((code, place)).or_default() += 1;
                }
            }
            let bits = |rows: &[u32]| Bits::listed(rows, count as usize);
            let mut coded = rows(&codes);
            if kind % 3 == 0 {
                coded.set_same(7, count as usize);
            }
            all.push((coded, Places::new(bits(&kept), bits(&selected), intervals)));
        }
        (all, expected)
    }

    #[test]
    fn both_ways_count_alike() {
        let (all, expected) = many_rows();
        let mut dense = CodeCounts::new(10);
        assert!(dense.make_room(97));
        let mut log = CodeCounts::new(10);
        log.restart(MAX_CELLS);
        assert!(matches!(log.cells, CodeCells::Log(_)));
        for counts in [&mut dense, &mut log] {
            for _ in 0..2 {
                for (codes, places) in &all {
                    counts.add(codes, places);
                }
                assert_eq!(drained(counts), expected);
                assert_eq!(drained(counts), BTreeMap::new());
            }
        }
    }

    #[test]
    fn counts_stay_when_more_codes_come() {
        let places = || {
            let intervals = RowIntervals::Same(1);
            Places::new(Bits::same(true, 3), Bits::listed(&[1], 3), intervals)
        };
        let mut counts = CodeCounts::new(4);
        assert!(counts.make_room(2));
        counts.add(&rows(&[Some(0), Some(1), None]), &places());
        assert!(counts.make_room(5));
        counts.add(&rows(&[Some(0), Some(4), Some(1)]), &places());
        let expected = [((0, 2), 2), ((1, 2), 1), ((1, 3), 1), ((4, 3), 1)];
        assert_eq!(drained(&mut counts), BTreeMap::from(expected));
    }

    #[test]
    fn room_ends() {
        let one = |count| {
            let places = Places::new(
                Bits::same(true, count),
                Bits::same(true, count),
                RowIntervals::Same(0),
            );
            let mut codes = RowCodes::default();
            codes.set_same(2, count);
            (codes, places)
        };
        let mut counts = CodeCounts::new(2);
        assert!(counts.make_room(MAX_CELLS / 2));
        assert!(!counts.make_room(MAX_CELLS / 2 + 1));
        counts.restart(MAX_CELLS / 2 + 1);
        assert!(counts.make_room(usize::MAX));
        let (codes, places) = one(MAX_CELLS);
        counts.add(&codes, &places);
        assert!(!counts.make_room(1));
        let all = drained(&mut counts);
        assert_eq!(all, BTreeMap::from([((2, 1), MAX_CELLS as u64)]));
        assert!(counts.make_room(1));
        counts.restart(3);
        let (codes, places) = one(1);
        counts.add(&codes, &places);
        assert_eq!(drained(&mut counts), BTreeMap::from([((2, 1), 1)]));
    }
}
