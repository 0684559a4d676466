//! The codes of some neighbouring rows, of which some may have none.

use crate::block::bits::Bits;

/// Codes of those rows that have one. Filled again and again, to keep its room.
#[derive(Debug, Default)]
pub struct RowCodes {
    rows: usize,
    presence: CodedRows,
    /// Which rows have a code, where some have and some have not.
    bits: Bits,
    /// Codes of the rows that have one; or one code for all of them.
    codes: Vec<u32>,
    is_same: bool,
}

/// Which rows have a code.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum CodedRows {
    #[default]
    None,
    All,
    Some,
}

/// The codes that rows have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coded<'a> {
    /// All rows have the same code.
    Same(u32),
    /// The codes row by row, of those rows that have one.
    Each(&'a [u32]),
}

impl RowCodes {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many rows have a code.
    #[must_use]
    pub fn present(&self) -> usize {
        match self.presence {
            CodedRows::None => 0,
            CodedRows::All => self.rows,
            CodedRows::Some => self.bits.count(),
        }
    }

    /// How many of these rows have a code.
    #[must_use]
    pub fn present_of(&self, rows: &Bits) -> usize {
        match self.presence {
            CodedRows::None => 0,
            CodedRows::All => rows.count(),
            CodedRows::Some => self.bits.count_both(rows),
        }
    }

    /// The rows that have a code.
    #[must_use]
    pub fn presence(&self) -> Bits {
        match self.presence {
            CodedRows::None => Bits::same(false, self.rows),
            CodedRows::All => Bits::same(true, self.rows),
            CodedRows::Some => self.bits.clone(),
        }
    }

    /// The codes of the rows that have one.
    #[must_use]
    pub fn codes(&self) -> Coded<'_> {
        match self.codes.as_slice() {
            [code] if self.is_same => Coded::Same(*code),
            codes => Coded::Each(codes),
        }
    }

    /// Hands over each of these rows that has a code, with it.
    #[inline]
    pub fn each_of(&self, rows: &Bits, mut each: impl FnMut(usize, u32)) {
        let code = |rank: usize| {
            let rank = if self.is_same { 0 } else { rank };
            self.codes.get(rank).copied()
        };
        let mut found = |row, rank| {
            if let Some(code) = code(rank) {
                each(row, code);
            }
        };
        match self.presence {
            CodedRows::None => {}
            CodedRows::All => rows.ones().for_each(|row| found(row, row)),
            CodedRows::Some => {
                let ranks = self.bits.ranks(rows);
                ranks.for_each(|(row, rank)| found(row, rank));
            }
        }
    }

    /// So many rows, none of which has a code.
    pub fn set_absent(&mut self, rows: usize) {
        self.rows = rows;
        self.presence = CodedRows::None;
        self.codes.clear();
        self.is_same = false;
    }

    /// So many rows that all have one code.
    pub fn set_same(&mut self, code: u32, rows: usize) {
        self.set_absent(rows);
        self.presence = CodedRows::All;
        self.fill_same(code);
    }

    /// Rows of which those have a code that `is_present` says; in `codes` each row has one.
    pub fn set_each(&mut self, codes: &[u32], is_present: Option<impl Fn(usize) -> bool>) {
        self.set_absent(codes.len());
        let Some(is_present) = is_present else {
            self.presence = CodedRows::All;
            self.codes.extend_from_slice(codes);
            return;
        };
        self.presence = CodedRows::Some;
        self.bits.clear();
        for (row, &code) in codes.iter().enumerate() {
            let there = is_present(row);
            self.bits.push(u64::from(there), 1);
            if there {
                self.codes.push(code);
            }
        }
    }

    /// All rows have a code; those are filled in next.
    pub(super) fn set_present(&mut self) {
        self.presence = CodedRows::All;
    }

    /// Those rows have a code that are put into the bits; their codes are filled in next.
    pub(super) fn present_bits(&mut self) -> &mut Bits {
        self.presence = CodedRows::Some;
        self.bits.clear();
        &mut self.bits
    }

    /// All rows that have a code have this one.
    pub(super) fn fill_same(&mut self, code: u32) {
        self.codes.clear();
        self.codes.push(code);
        self.is_same = true;
    }

    /// Room for the codes of all rows that have one.
    pub(super) fn room(&mut self) -> &mut [u32] {
        let present = self.present();
        self.codes.resize(present, 0);
        &mut self.codes
    }

    /// The largest code, if there is any.
    pub(super) fn largest(&self) -> Option<u32> {
        largest(&self.codes)
    }
}

/// The largest of some codes; many are compared by one instruction.
pub(super) fn largest<T: Copy + Default + Ord>(codes: &[T]) -> Option<T> {
    let largest = codes
        .iter()
        .fold(T::default(), |largest, code| largest.max(*code));
    (!codes.is_empty()).then_some(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(codes: &RowCodes, rows: &Bits) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        codes.each_of(rows, |row, code| found.push((row, code)));
        found
    }

    #[test]
    fn rows_with_a_code_have_theirs() {
        let wanted = Bits::listed(&[0, 2, 3], 4);
        let mut codes = RowCodes::default();
        codes.set_each(&[7, 8, 9, 7], Some(|row| row != 0));
        assert_eq!(found(&codes, &wanted), [(2, 9), (3, 7)]);
        assert_eq!(codes.codes(), Coded::Each(&[8, 9, 7]));
        assert_eq!((codes.rows(), codes.present()), (4, 3));
        assert_eq!(codes.present_of(&wanted), 2);
        assert_eq!(codes.presence(), Bits::listed(&[1, 2, 3], 4));
        codes.set_same(5, 4);
        assert_eq!(found(&codes, &wanted), [(0, 5), (2, 5), (3, 5)]);
        assert_eq!(codes.codes(), Coded::Same(5));
        assert_eq!((codes.present(), codes.present_of(&wanted)), (4, 3));
        codes.set_each(&[1, 2, 3, 4], None::<fn(usize) -> bool>);
        assert_eq!(found(&codes, &wanted), [(0, 1), (2, 3), (3, 4)]);
        codes.set_absent(4);
        assert_eq!(found(&codes, &wanted), []);
        assert_eq!((codes.present(), codes.present_of(&wanted)), (0, 0));
        assert_eq!(codes.presence(), Bits::same(false, 4));
    }
}
