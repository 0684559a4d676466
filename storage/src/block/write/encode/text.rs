//! Text columns: dictionary-coded where values repeat, plain where they do not.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, NullBufferBuilder, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::block::write::row_number::row_i32;
use crate::error::StorageError;

/// Up to this many distinct values a dictionary always pays.
const FEW_VALUES: usize = 1024;
/// Stands for a text without a code.
pub(super) const NO_CODE: i32 = -1;

/// Gives texts numbers in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct TextCodes<'a> {
    codes: HashMap<&'a [u8], i32>,
    values: Vec<&'a str>,
    last: Option<(&'a [u8], i32)>,
}

impl<'a> TextCodes<'a> {
    pub(super) fn code(&mut self, text: &'a str) -> i32 {
        self.code_of_bytes(text.as_bytes())
    }

    /// The code of a text by its bytes, which are looked at as text only the first time.
    pub(super) fn code_of_bytes(&mut self, text: &'a [u8]) -> i32 {
        // Neighbouring rows often have the same text, even at the same address. Empty ones may be at an
        // address where there is nothing, and vector instructions are slow to find that out.
        if let Some((last, code)) = self.last
            && last.len() == text.len()
            && (text.is_empty() || last == text)
        {
            return code;
        }
        let values = &mut self.values;
        let code = *self.codes.entry(text).or_insert_with(|| {
            values.push(checked(text));
            row_i32(values.len() - 1)
        });
        self.last = Some((text, code));
        code
    }

    /// The text of a code.
    pub(super) fn text(&self, code: i32) -> &'a str {
        let index = usize::try_from(code).unwrap_or(usize::MAX);
        self.values.get(index).copied().unwrap_or_default()
    }

    /// All texts, in the order of their codes.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.values.iter().copied()
    }

    /// Whether a dictionary would be nearly as long as a column with so many values.
    pub(super) fn mostly_distinct(&self, value_count: usize) -> bool {
        mostly_distinct(self.values.len(), value_count)
    }

    /// A dictionary column of codes, [`NO_CODE`] for null. Its dictionary is in the order of first
    /// appearance there, whatever the order in which the codes were given.
    pub(super) fn column(&self, mut codes: Vec<i32>) -> Result<ArrayRef, StorageError> {
        let valid = BooleanBuffer::collect_bool(codes.len(), |row| codes[row] != NO_CODE);
        let nulls = Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0);
        let mut new_of_old = vec![NO_CODE; self.values.len()];
        let mut values = Vec::new();
        for code in &mut codes {
            *code = match usize::try_from(*code) {
                // Never looked at.
                Err(_) => 0,
                Ok(old) => {
                    let new = &mut new_of_old[old];
                    if *new == NO_CODE {
                        *new = row_i32(values.len());
                        values.push(self.values[old]);
                    }
                    *new
                }
            };
        }
        let keys = Int32Array::new(codes.into(), nulls);
        let values = text_array(values.into_iter().map(Some), "distinct texts")?;
        let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))
            .map_err(|error| StorageError::arrow("making a dictionary", error))?;
        Ok(Arc::new(array))
    }
}

/// Whether so many distinct texts are too many for a dictionary of a column with so many values.
pub(crate) fn mostly_distinct(distinct: usize, value_count: usize) -> bool {
    distinct > FEW_VALUES && distinct > value_count / 4
}

/// Bytes as text. They were found to be text when they came in.
pub(super) fn checked(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// A dictionary column of texts that belong to units, such as resources, of which a row has one.
/// `null_if_empty` makes empty texts null.
pub(super) fn dictionary_of_units<'a>(
    units: impl Iterator<Item = &'a str>,
    unit_of_row: &[u32],
    null_if_empty: bool,
) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let code_of = |text: &'a str| {
        if null_if_empty && text.is_empty() {
            NO_CODE
        } else {
            codes.code(text)
        }
    };
    let units: Vec<i32> = units.map(code_of).collect();
    codes.column(
        unit_of_row
            .iter()
            .map(|unit| units[*unit as usize])
            .collect(),
    )
}

/// A plain text array; fails where the texts together exceed what 32-bit offsets reach.
pub(super) fn text_array<'a>(
    texts: impl Iterator<Item = Option<&'a str>>,
    what: &'static str,
) -> Result<StringArray, StorageError> {
    let mut bytes = Vec::new();
    let mut offsets = vec![0i32];
    let mut valid = NullBufferBuilder::new(0);
    for text in texts {
        valid.append(text.is_some());
        bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        offsets.push(offset(bytes.len(), what)?);
    }
    StringArray::try_new(
        OffsetBuffer::new(offsets.into()),
        bytes.into(),
        valid.finish(),
    )
    .map_err(|error| StorageError::arrow("making a text array", error))
}

/// An offset into a list or text array.
pub(super) fn offset(length: usize, what: &'static str) -> Result<i32, StorageError> {
    i32::try_from(length).map_err(|_| StorageError::BlockTooLarge {
        what,
        count: length as u64,
        limit: i32::MAX.unsigned_abs().into(),
    })
}
