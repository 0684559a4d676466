//! Sets of rows, as a bit for each row of a range.

/// Bits of a word.
const WORD: usize = 64;

/// Which of some rows are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bits {
    /// A bit for each row, the first row in the lowest bit; behind the last row there are zeros.
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// So many rows, of which all are meant or none.
    #[must_use]
    pub fn same(bit: bool, rows: usize) -> Self {
        let mut bits = Self::default();
        bits.push_same(bit, rows);
        bits
    }

    /// The rows of `rows` that are listed, ascending.
    #[must_use]
    pub fn listed(listed: &[u32], rows: usize) -> Self {
        let mut bits = Self::same(false, rows);
        for &row in listed {
            let row = usize::try_from(row).unwrap_or(usize::MAX);
            if let Some(word) = bits.words.get_mut(row / WORD) {
                *word |= 1 << (row % WORD);
            }
        }
        bits
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many rows are meant.
    #[must_use]
    pub fn count(&self) -> usize {
        ones(self.words.iter().copied())
    }

    /// How many rows are meant by both.
    #[must_use]
    pub fn count_both(&self, other: &Self) -> usize {
        let words = self.words.iter().zip(&other.words);
        ones(words.map(|(word, other)| word & other))
    }

    /// Whether a row is meant.
    #[must_use]
    pub fn get(&self, row: usize) -> bool {
        let word = self.words.get(row / WORD);
        word.is_some_and(|word| word >> (row % WORD) & 1 == 1)
    }

    /// Leaves only rows that the other means, too.
    pub fn retain(&mut self, other: &Self) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or_default();
        }
    }

    /// The rows that are meant, ascending.
    pub fn ones(&self) -> impl Iterator<Item = usize> + '_ {
        (0..)
            .step_by(WORD)
            .zip(&self.words)
            .flat_map(|(first, &word)| ones_of(word).map(move |bit| first + bit))
    }

    /// The rows that are meant, ascending, in a list.
    #[must_use]
    pub fn rows(&self) -> Vec<u32> {
        let mut rows = Vec::with_capacity(self.count());
        for (first, &word) in (0..).step_by(WORD).zip(&self.words) {
            let mut word = word;
            while word != 0 {
                rows.push(first + word.trailing_zeros());
                word &= word - 1;
            }
        }
        rows
    }

    /// The rows that both mean, ascending, each with how many rows before it this one means.
    pub fn ranks<'a>(&'a self, rows: &'a Self) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut before = 0;
        let words = self.words.iter().zip(&rows.words);
        (0..)
            .step_by(WORD)
            .zip(words)
            .flat_map(move |(first, (&word, &wanted))| {
                let rank = before;
                before += ones([word].into_iter());
                ones_of(word & wanted).map(move |bit| {
                    let lower = word & !(u64::MAX << bit);
                    (first + bit, rank + ones([lower].into_iter()))
                })
            })
    }

    /// Takes all rows away.
    pub fn clear(&mut self) {
        self.words.clear();
        self.len = 0;
    }

    /// Adds rows at the end, of which all are meant or none.
    pub fn push_same(&mut self, bit: bool, mut rows: usize) {
        let word = if bit { u64::MAX } else { 0 };
        while rows > 0 {
            let now = rows.min(WORD);
            self.push(word, now);
            rows -= now;
        }
    }

    /// Adds rows at the end, 64 at most, by the bits of a word from the lowest on.
    pub fn push(&mut self, word: u64, rows: usize) {
        let rows = rows.min(WORD);
        let Some(unused) = WORD.checked_sub(rows).filter(|unused| *unused < WORD) else {
            return;
        };
        let word = word & (u64::MAX >> unused);
        let at = self.len % WORD;
        self.len += rows;
        if at == 0 {
            self.words.push(word);
            return;
        }
        if let Some(last) = self.words.last_mut() {
            *last |= word << at;
        }
        if at + rows > WORD {
            self.words.push(word >> (WORD - at));
        }
    }
}

fn ones(words: impl Iterator<Item = u64>) -> usize {
    words.map(|word| word.count_ones() as usize).sum()
}

/// The places of the ones of a word.
fn ones_of(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        // The lowest one goes; of a word without any nothing is left.
        word &= word.checked_sub(1)?;
        Some(bit as usize)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits_of(rows: &[bool]) -> Bits {
        let mut bits = Bits::default();
        for &row in rows {
            bits.push_same(row, 1);
        }
        bits
    }

    proptest! {
        #[test]
        fn rows_are_where_they_were_put(
            pieces in prop::collection::vec((any::<u64>(), 0_usize..=64), 0..8),
            runs in prop::collection::vec((any::<bool>(), 0_usize..150), 0..4),
        ) {
            let (mut bits, mut expected) = (Bits::default(), Vec::new());
            for (word, rows) in pieces {
                bits.push(word, rows);
                expected.extend((0..rows).map(|bit| word >> bit & 1 == 1));
            }
            for (bit, rows) in runs {
                bits.push_same(bit, rows);
                expected.extend(std::iter::repeat_n(bit, rows));
            }
            prop_assert_eq!(&bits, &bits_of(&expected));
            prop_assert_eq!(bits.len(), expected.len());
            let all: Vec<bool> = (0..bits.len()).map(|row| bits.get(row)).collect();
            prop_assert_eq!(&all, &expected);
            let meant: Vec<usize> = bits.ones().collect();
            prop_assert_eq!(bits.count(), meant.len());
            prop_assert!(meant.iter().all(|row| expected[*row]));
            let listed: Vec<u32> = meant.iter().map(|row| u32::try_from(*row).unwrap()).collect();
            prop_assert_eq!(&bits.rows(), &listed);
            prop_assert_eq!(Bits::listed(&listed, bits.len()), bits);
        }

        #[test]
        fn rows_of_both_are_found_with_their_ranks(
            rows in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200),
        ) {
            let (own, other): (Vec<bool>, Vec<bool>) = rows.into_iter().unzip();
            let (bits, others) = (bits_of(&own), bits_of(&other));
            let both = |row: &usize| own[*row] && other[*row];
            let rank = |row: usize| own[..row].iter().filter(|bit| **bit).count();
            let expected: Vec<_> =
                (0..own.len()).filter(both).map(|row| (row, rank(row))).collect();
            prop_assert_eq!(bits.count_both(&others), expected.len());
            prop_assert_eq!(bits.ranks(&others).collect::<Vec<_>>(), expected.clone());
            let mut retained = bits;
            retained.retain(&others);
            let expected: Vec<usize> = expected.into_iter().map(|(row, _)| row).collect();
            prop_assert_eq!(retained.ones().collect::<Vec<_>>(), expected);
        }
    }
}
