//! Spans by the code of a value and the place they are counted at.
//!
//! Where codes and places are few, each pair of them has a cell, and counting is an addition. Where
//! they are many, such as the intervals of a long range for each of a hundred thousand users, most
//! cells would stay empty: there the pairs are written down one after the other, and sorted by code
//! when there are enough of them.

/// Most cells, and most pairs that are written down: 2 MiB of either.
const MAX_CELLS: usize = 1 << 18;

/// Counts of spans by code and place.
#[derive(Debug)]
pub(super) struct CodeCounts {
    /// Places of each code.
    places: usize,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    /// A count for each pair, code by code.
    Dense(Vec<u64>),
    /// Code and place of each span.
    Log(Vec<(u32, u32)>),
}

impl CodeCounts {
    /// Counts nothing yet, at so many places.
    pub(super) const fn new(places: usize) -> Self {
        Self {
            places,
            cells: Cells::Dense(Vec::new()),
        }
    }

    /// Whether codes below `codes` can be counted, as far as that does not depend on the spans.
    /// Makes room for them if so. If not, what is counted has to be drained first.
    pub(super) fn make_room(&mut self, codes: usize) -> bool {
        match &mut self.cells {
            Cells::Dense(cells) => {
                let wanted = codes.saturating_mul(self.places);
                let is_room = wanted <= MAX_CELLS;
                if is_room && cells.len() < wanted {
                    cells.resize(wanted, 0);
                }
                is_room
            }
            Cells::Log(log) => log.len() < MAX_CELLS,
        }
    }

    /// Begins anew, with codes below `codes`. What is counted has to be drained before.
    pub(super) fn restart(&mut self, codes: usize) {
        let cells = codes.saturating_mul(self.places);
        if cells > MAX_CELLS {
            self.cells = match std::mem::replace(&mut self.cells, Cells::Log(Vec::new())) {
                Cells::Log(log) => Cells::Log(log),
                Cells::Dense(_) => Cells::Log(Vec::new()),
            };
            return;
        }
        let mut dense = match std::mem::replace(&mut self.cells, Cells::Log(Vec::new())) {
            Cells::Dense(dense) => dense,
            Cells::Log(_) => Vec::new(),
        };
        dense.clear();
        dense.resize(cells, 0);
        self.cells = Cells::Dense(dense);
    }

    /// Counts one span for each pair of a code and a place, for which there has to be room.
    #[inline]
    pub(super) fn add(&mut self, spans: impl Iterator<Item = (u32, u32)>) {
        match &mut self.cells {
            Cells::Dense(cells) => {
                for (code, place) in spans {
                    if let Some(cell) = cells.get_mut(code as usize * self.places + place as usize)
                    {
                        *cell += 1;
                    }
                }
            }
            Cells::Log(log) => log.extend(spans),
        }
    }

    /// Counts spans of one code, by runs of spans at one place.
    pub(super) fn add_runs(&mut self, code: u32, runs: &[(u32, u32)]) {
        match &mut self.cells {
            Cells::Dense(cells) => {
                for &(place, spans) in runs {
                    if let Some(cell) = cells.get_mut(code as usize * self.places + place as usize)
                    {
                        *cell += u64::from(spans);
                    }
                }
            }
            Cells::Log(log) => {
                let spans = runs
                    .iter()
                    .flat_map(|&(place, spans)| std::iter::repeat_n((code, place), spans as usize));
                log.extend(spans);
            }
        }
    }

    /// Hands over what is counted, code by code: places with their spans. A place may come again.
    pub(super) fn drain(&mut self, mut each: impl FnMut(u32, &[(u32, u64)])) {
        let mut spans: Vec<(u32, u64)> = Vec::new();
        match &mut self.cells {
            Cells::Dense(cells) => {
                for (code, cells) in (0..).zip(cells.chunks_exact_mut(self.places)) {
                    let counts = (0..).zip(cells.iter().copied());
                    spans.extend(counts.filter(|(_, spans)| *spans > 0));
                    if !spans.is_empty() {
                        each(code, &spans);
                        spans.clear();
                        cells.fill(0);
                    }
                }
            }
            Cells::Log(log) => {
                let (ends, places) = by_code(log);
                log.clear();
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
            Cells::Dense(cells) => cells.capacity() * size_of::<u64>(),
            // Sorting takes half as much again, and an offset for each code.
            Cells::Log(log) => 2 * log.capacity() * size_of::<(u32, u32)>(),
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

    use super::*;

    /// Everything that is counted, by code and place.
    fn drained(counts: &mut CodeCounts) -> BTreeMap<(u32, u32), u64> {
        let mut all = BTreeMap::new();
        counts.drain(|code, spans| {
            for &(place, spans) in spans {
                *all.entry((code, place)).or_default() += spans;
            }
        });
        all
    }

    #[test]
    fn both_ways_count_alike() {
        let spans: Vec<(u32, u32)> = (0..5_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) % 97, n / 700))
            .collect();
        let mut expected: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for &span in &spans {
            *expected.entry(span).or_default() += 1;
        }
        *expected.entry((96, 3)).or_default() += 5;
        let mut dense = CodeCounts::new(10);
        assert!(dense.make_room(97));
        let mut log = CodeCounts::new(10);
        log.restart(MAX_CELLS);
        assert!(matches!(log.cells, Cells::Log(_)));
        for counts in [&mut dense, &mut log] {
            for _ in 0..2 {
                counts.add(spans.iter().copied());
                counts.add_runs(96, &[(3, 2), (3, 3)]);
                assert_eq!(drained(counts), expected);
                assert_eq!(drained(counts), BTreeMap::new());
            }
        }
    }

    #[test]
    fn room_ends() {
        let mut counts = CodeCounts::new(2);
        assert!(counts.make_room(MAX_CELLS / 2));
        assert!(!counts.make_room(MAX_CELLS / 2 + 1));
        counts.restart(MAX_CELLS / 2 + 1);
        assert!(counts.make_room(usize::MAX));
        counts.add((0..MAX_CELLS).map(|_| (7, 1)));
        assert!(!counts.make_room(1));
        let all = drained(&mut counts);
        assert_eq!(all, BTreeMap::from([((7, 1), MAX_CELLS as u64)]));
        assert!(counts.make_room(1));
        counts.restart(3);
        counts.add([(2, 0)].into_iter());
        assert_eq!(drained(&mut counts), BTreeMap::from([((2, 0), 1)]));
    }
}
