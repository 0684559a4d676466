//! The codes of some neighbouring rows of a column, and which rows are left by their codes.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::error::Result;
use storage::StorageError;
use storage::block::encoded::{Bits, Coded, EncodedColumn, RowCodes};

use crate::index::index;
use crate::rows::Rows;

/// The codes of one column in some neighbouring rows.
#[derive(Debug)]
pub(super) enum Codes {
    /// All have the same.
    Same(u32),
    /// They count up from this one.
    From(usize),
    Each(Vec<u32>),
    /// As [`Self::Each`], of few values.
    Narrow(Bytes),
    /// Few have a value.
    Few(FewCodes),
    /// Those of a few rows, since no others were left to be read. Nobody asks for others then.
    Picked(Listed),
}

/// Codes of some rows.
#[derive(Debug)]
pub(super) struct Listed {
    /// Ascending.
    rows: Vec<u32>,
    /// Theirs.
    codes: Vec<u32>,
}

/// Codes where few rows have a value.
#[derive(Debug)]
pub(super) struct FewCodes {
    /// Of those that have one.
    listed: Listed,
    /// That of all others.
    null: u32,
}

/// Of so many rows one has a value at most where few have one: else each row has its code, which takes
/// fewer steps.
const FEW: usize = 2;
/// Of so many rows one is left at most where only their codes are read: unpacking many at once takes
/// less for each.
const PICKED: usize = 8;

impl Rows {
    /// Those whose code is to be kept.
    pub(super) fn filter(self, codes: &Codes, keep: &[bool]) -> Self {
        let kept = |code: u32| keep.get(index(code)).copied().unwrap_or(false);
        match (self, codes) {
            (rows, &Codes::Same(code)) if kept(code) => rows,
            (_, Codes::Same(_)) => Self::Some(Vec::new()),
            (Self::All(_), Codes::Each(codes)) => kept_of_all(codes, keep),
            (Self::All(_), Codes::Narrow(codes)) => kept_of_narrow(codes, keep),
            (Self::All(count), &Codes::From(first)) => {
                kept_of_each(keep.get(first..first + count).unwrap_or_default(), |keep| {
                    u64::from(*keep)
                })
            }
            (Self::All(count), Codes::Few(few)) if kept(few.null) => {
                kept_of_all(&few.each(count), keep)
            }
            (Self::All(_), Codes::Few(FewCodes { listed, .. }) | Codes::Picked(listed)) => {
                Self::Some(compacted(&listed.rows, &listed.codes, kept))
            }
            (Self::Some(rows), Codes::Picked(listed)) if rows == listed.rows => {
                Self::Some(compacted(&rows, &listed.codes, kept))
            }
            (Self::Some(rows), codes) => {
                let of_rows = codes.of_some(&rows);
                Self::Some(compacted(&rows, &of_rows, kept))
            }
        }
    }
}

/// Those of all rows whose code is to be kept.
fn kept_of_all(codes: &[u32], keep: &[bool]) -> Rows {
    const BITS: usize = u64::BITS as usize;
    if keep.len() > BITS {
        let kept = |code: &u32| keep.get(index(*code)).copied().unwrap_or(false);
        return kept_of_each(codes, |code| u64::from(kept(code)));
    }
    // Of few codes, what is to be kept fits into a register.
    let bits = (0..).zip(keep).map(|(code, &keep)| u64::from(keep) << code);
    let bits = bits.fold(0, |bits, bit| bits | bit);
    kept_of_each(codes, |code| bits >> (code % u64::BITS) & 1)
}

/// As [`kept_of_all`], where codes are bytes.
fn kept_of_narrow(codes: &[u8], keep: &[bool]) -> Rows {
    let mut kept = (0..=u8::MAX).zip(keep).filter(|(_, keep)| **keep);
    if let (Some((only, _)), None) = (kept.next(), kept.next()) {
        return kept_of_one(codes, only);
    }
    let mut table = [0_u64; 1 << u8::BITS];
    for (slot, keep) in table.iter_mut().zip(keep) {
        *slot = u64::from(*keep);
    }
    kept_of_each(codes, |code| table[usize::from(*code)])
}

/// Those of all rows that have one code. Eight are looked at in one step.
fn kept_of_one(codes: &[u8], wanted: u8) -> Rows {
    /// A bit for each byte that is zero: <https://graphics.stanford.edu/~seander/bithacks.html>,
    /// "Determine if a word has a zero byte", its exact form; then the highest bits gathered.
    fn zeros(word: u64) -> u64 {
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        let nonzero = ((word & LOW) + LOW) | word | LOW;
        (!nonzero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
    let pattern = u64::from_le_bytes([wanted; 8]);
    let mut kept = Bits::default();
    let (words, rest) = codes.as_chunks::<8>();
    let mut chunks = words.chunks_exact(8);
    for words in &mut chunks {
        let bits = (0..).step_by(8).zip(words);
        let bits = bits.map(|(at, word)| zeros(u64::from_le_bytes(*word) ^ pattern) << at);
        kept.push(bits.fold(0, |bits, eight| bits | eight), 64);
    }
    for word in chunks.remainder() {
        kept.push(zeros(u64::from_le_bytes(*word) ^ pattern), 8);
    }
    for code in rest {
        kept.push(u64::from(*code == wanted), 1);
    }
    listed(&kept, codes.len())
}

/// Those of all rows of which a bit says that they are to be kept.
fn kept_of_each<T>(rows: &[T], bit: impl Fn(&T) -> u64) -> Rows {
    let mut kept = Bits::default();
    for rows in rows.chunks(u64::BITS as usize) {
        let bits = (0..).zip(rows).map(|(at, row)| bit(row) << at);
        kept.push(bits.fold(0_u64, |bits, bit| bits | bit), rows.len());
    }
    listed(&kept, rows.len())
}

/// Those of so many rows that are meant.
fn listed(kept: &Bits, rows: usize) -> Rows {
    let count = kept.count();
    if count == rows {
        return Rows::All(rows);
    }
    Rows::Some(kept.rows())
}

/// Those of some rows whose code is to be kept.
fn compacted(rows: &[u32], codes: &[u32], keep: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut kept = vec![0_u32; rows.len()];
    let mut length = 0;
    // Written in any case and kept or not, which takes no jump that could be guessed wrongly.
    for (&row, &code) in rows.iter().zip(codes) {
        kept[length] = row;
        length += usize::from(keep(code));
    }
    kept.truncate(length);
    kept
}

impl Codes {
    /// The codes of the next rows of a column, as far as they are `left`.
    ///
    /// # Errors
    /// If the column is damaged.
    pub(super) fn read(
        column: &mut EncodedColumn,
        rows: usize,
        left: &Rows,
    ) -> Result<Self, StorageError> {
        if let Some(first) = column.place() {
            return Ok(Self::From(first));
        }
        if let Some(code) = column.repeated(rows)? {
            return Ok(Self::Same(code));
        }
        if let Rows::Some(left) = left
            && left.len() <= rows / PICKED
            && let Some(codes) = column.pick(rows, left)?
        {
            let rows = left.clone();
            return Ok(Self::Picked(Listed { rows, codes }));
        }
        if let Some(codes) = column.read_narrow(rows)? {
            return Ok(Self::Narrow(codes));
        }
        let Some(null) = column.null() else {
            let mut codes = vec![0; rows];
            column.read(&mut codes)?;
            return Ok(Self::Each(codes));
        };
        let mut read = RowCodes::default();
        column.read_rows(rows, &mut read)?;
        let codes = match read.codes() {
            Coded::Same(code) => vec![code; read.present()],
            Coded::Each(codes) => codes.to_vec(),
        };
        if codes.len() == rows {
            return Ok(Self::Each(codes));
        }
        let rows_with_value = read.presence().rows();
        let listed = Listed {
            rows: rows_with_value,
            codes,
        };
        let few = FewCodes { listed, null };
        Ok(if few.listed.rows.len() <= rows / FEW {
            Self::Few(few)
        } else {
            Self::Each(few.each(rows))
        })
    }

    /// The codes of some of the rows.
    pub(super) fn of(&self, rows: &Rows) -> Vec<u32> {
        match (self, rows) {
            (_, Rows::Some(rows)) => self.of_some(rows),
            (&Self::Same(code), Rows::All(count)) => vec![code; *count],
            (Self::Each(codes), Rows::All(_)) => codes.clone(),
            (Self::Narrow(codes), Rows::All(_)) => codes.iter().copied().map(u32::from).collect(),
            (Self::From(first), Rows::All(count)) => (number(*first)..).take(*count).collect(),
            (Self::Few(few), Rows::All(count)) => few.each(*count),
            (Self::Picked(listed), Rows::All(_)) => listed.codes.clone(),
        }
    }

    fn of_some(&self, rows: &[u32]) -> Vec<u32> {
        match self {
            Self::Same(code) => vec![*code; rows.len()],
            Self::Each(codes) => rows.iter().map(|&row| codes[index(row)]).collect(),
            Self::Narrow(codes) => {
                let code = |&row: &u32| u32::from(codes[index(row)]);
                rows.iter().map(code).collect()
            }
            Self::From(first) => {
                let first = number(*first);
                rows.iter().map(|row| first + row).collect()
            }
            Self::Few(few) => few.listed.of(rows, few.null),
            Self::Picked(listed) => listed.of(rows, 0),
        }
    }

    /// The values of some of the rows.
    ///
    /// # Errors
    /// If there is no value of a code.
    pub(super) fn pick(&self, values: &ArrayRef, rows: &Rows) -> Result<ArrayRef> {
        if let (Self::From(first), Rows::All(count)) = (self, rows) {
            return Ok(values.slice(*first, *count));
        }
        // Numbers each row has one of, as durations are, take no more than this.
        if let (Self::From(first), Rows::Some(rows)) = (self, rows)
            && let Some(numbers) = values.as_primitive_opt::<Int64Type>()
            && numbers.null_count() == 0
        {
            let numbers = numbers.values().get(*first..).unwrap_or_default();
            let picked = rows.iter().map(|row| numbers[index(*row)]);
            return Ok(Arc::new(Int64Array::from_iter_values(picked)));
        }
        let codes = UInt32Array::from(self.of(rows));
        Ok(take(values, &codes, None)?)
    }
}

impl FewCodes {
    /// The codes of all rows.
    fn each(&self, count: usize) -> Vec<u32> {
        let mut each = vec![self.null; count];
        for (&row, &code) in self.listed.rows.iter().zip(&self.listed.codes) {
            if let Some(slot) = each.get_mut(index(row)) {
                *slot = code;
            }
        }
        each
    }
}

impl Listed {
    /// The codes that there are.
    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The codes of some rows, ascending; those that are not listed have the `other`.
    fn of(&self, rows: &[u32], other: u32) -> Vec<u32> {
        // Often there was a filter that has left just the rows that are listed.
        if rows == self.rows {
            return self.codes.clone();
        }
        let mut next = 0;
        let code = |row: &u32| {
            while self.rows.get(next).is_some_and(|listed| listed < row) {
                next += 1;
            }
            if self.rows.get(next) == Some(row) {
                self.codes[next]
            } else {
                other
            }
        };
        rows.iter().map(code).collect()
    }
}

pub(super) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(rows: &Rows) -> Vec<u32> {
        match rows {
            Rows::All(count) => (0..).take(*count).collect(),
            Rows::Some(rows) => rows.clone(),
        }
    }

    proptest! {
        #[test]
        fn codes_of_few_are_those_of_each(
            codes in prop::collection::vec(0_u32..4, 0..200),
            keep in prop::collection::vec(any::<bool>(), 4),
            before in prop::collection::vec(any::<bool>(), 4),
        ) {
            // Code 3 stands for none.
            let count = codes.len();
            let (rows, present) =
                (0..).zip(codes.iter().copied()).filter(|(_, code)| *code != 3).unzip();
            let with_value = Listed { rows, codes: present };
            let few = Codes::Few(FewCodes { listed: with_value, null: 3 });
            let each = Codes::Each(codes.clone());
            let narrow = codes.iter().map(|code| u8::try_from(*code).unwrap());
            let narrow = Codes::Narrow(narrow.collect::<Vec<u8>>().into());
            let kept = |row: &u32| keep[index(codes[index(*row)])];
            let all: Vec<u32> = (0..).take(count).collect();
            for first in [&few, &each, &narrow] {
                let expected: Vec<u32> = all.iter().copied().filter(kept).collect();
                prop_assert_eq!(listed(&Rows::All(count).filter(first, &keep)), expected);
                let some = Rows::All(count).filter(first, &before);
                let rows = listed(&some);
                let own = rows.iter().map(|row| codes[index(*row)]);
                let picked = Codes::Picked(Listed { codes: own.collect(), rows });
                for second in [&few, &each, &narrow, &picked] {
                    let rows = listed(&some);
                    let expected: Vec<u32> = rows.iter().map(|row| codes[index(*row)]).collect();
                    prop_assert_eq!(second.of(&some), expected);
                    let expected: Vec<u32> = rows.iter().copied().filter(kept).collect();
                    let some = Rows::Some(rows);
                    prop_assert_eq!(listed(&some.filter(second, &keep)), expected);
                }
            }
            prop_assert_eq!(narrow.of(&Rows::All(count)), codes.clone());
            prop_assert_eq!(few.of(&Rows::All(count)), codes);
        }
    }
}
