//! Text columns: dictionary-coded where values repeat, plain where they do not.

use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::error::StorageError;

/// Up to this many distinct values a dictionary always pays.
const FEW_VALUES: usize = 1024;

/// Gives texts numbers in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct TextCodes<'a> {
    codes: HashMap<&'a str, i32>,
    values: Vec<&'a str>,
    last: Option<(&'a str, i32)>,
}

impl<'a> TextCodes<'a> {
    pub(super) fn code(&mut self, text: &'a str) -> i32 {
        // Neighbouring rows often have the same text, even at the same address.
        if let Some((last, code)) = self.last
            && last == text
        {
            return code;
        }
        let values = &mut self.values;
        let code = *self.codes.entry(text).or_insert_with(|| {
            values.push(text);
            super::row_i32(values.len() - 1)
        });
        self.last = Some((text, code));
        code
    }

    pub(super) fn value_count(&self) -> usize {
        self.values.len()
    }

    /// Whether a dictionary would be nearly as long as the column.
    pub(super) fn mostly_distinct(&self, value_count: usize) -> bool {
        self.values.len() > FEW_VALUES && self.values.len() > value_count / 4
    }

    pub(super) fn dictionary(
        &self,
        keys: Vec<i32>,
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, StorageError> {
        let keys = Int32Array::new(ScalarBuffer::from(keys), nulls);
        let values = text_array(
            self.values.iter().map(|value| Some(*value)),
            "distinct texts",
        )?;
        let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values))
            .map_err(|error| StorageError::arrow("making a dictionary", error))?;
        Ok(Arc::new(array))
    }
}

/// A dictionary column without nulls.
pub(super) fn dictionary<'a>(
    texts: impl Iterator<Item = &'a str>,
) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let keys = texts.map(|text| codes.code(text)).collect();
    codes.dictionary(keys, None)
}

/// A dictionary column of texts that belong to units, such as resources, of which a row has one.
/// `null_if_empty` makes empty texts null.
pub(super) fn dictionary_of_units<'a>(
    units: impl Iterator<Item = &'a str>,
    unit_of_row: impl Iterator<Item = u32> + Clone,
    null_if_empty: bool,
) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let absent = |text: &str| null_if_empty && text.is_empty();
    let units: Vec<(i32, bool)> = units
        .map(|text| {
            if absent(text) {
                (0, false)
            } else {
                (codes.code(text), true)
            }
        })
        .collect();
    let keys = unit_of_row
        .clone()
        .map(|unit| units[unit as usize].0)
        .collect();
    let valid = nulls(unit_of_row.map(|unit| units[unit as usize].1).collect());
    codes.dictionary(keys, valid)
}

/// A dictionary column in which the empty text is null.
pub(super) fn dictionary_or_null<'a>(
    texts: impl Iterator<Item = &'a str>,
) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let mut valid = Vec::new();
    let mut keys = Vec::new();
    for text in texts {
        valid.push(!text.is_empty());
        keys.push(if text.is_empty() { 0 } else { codes.code(text) });
    }
    codes.dictionary(keys, nulls(valid))
}

/// A validity buffer; `None` where all is valid.
pub(super) fn nulls(valid: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0)
}

/// A plain text array; fails where the texts together exceed what 32-bit offsets reach.
pub(super) fn text_array<'a>(
    texts: impl Iterator<Item = Option<&'a str>>,
    what: &'static str,
) -> Result<StringArray, StorageError> {
    let mut bytes = Vec::new();
    let mut offsets = vec![0i32];
    let mut valid = Vec::new();
    for text in texts {
        valid.push(text.is_some());
        bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        offsets.push(offset(bytes.len(), what)?);
    }
    let nulls = nulls(valid);
    StringArray::try_new(OffsetBuffer::new(offsets.into()), bytes.into(), nulls)
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
