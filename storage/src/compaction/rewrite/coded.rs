//! Texts of several dictionaries as codes of one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, DictionaryArray, Int32Array, Int32Builder, StringArray,
};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use crate::error::StorageError;

/// Texts with codes in the order of first appearance.
#[derive(Debug, Default)]
pub(super) struct CodedTexts {
    codes: Int32Builder,
    of_text: HashMap<Arc<str>, i32>,
    texts: Vec<Arc<str>>,
    /// The last dictionary of each source, and the codes here of those there.
    translations: Vec<Option<Translation>>,
}

#[derive(Debug)]
struct Translation {
    /// Held, so that no other dictionary can be at its address.
    dictionary: ArrayRef,
    codes: Vec<Option<i32>>,
}

impl CodedTexts {
    /// Adds rows of an array of texts, with a dictionary or without.
    ///
    /// # Errors
    /// If it is another array, or there are more texts than codes.
    pub(super) fn add(
        &mut self,
        source: usize,
        array: &ArrayRef,
        rows: Range<usize>,
    ) -> Result<(), StorageError> {
        let no_texts = || StorageError::Internal("a column of texts holds none".to_owned());
        if let Some(texts) = array.as_string_opt::<i32>() {
            for row in rows {
                let code = match texts.is_valid(row) {
                    true => Some(self.code(texts.value(row))?),
                    false => None,
                };
                self.codes.append_option(code);
            }
            return Ok(());
        }
        let coded = array
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(no_texts)?;
        let texts = coded.values().as_string_opt::<i32>().ok_or_else(no_texts)?;
        if self.translations.len() <= source {
            self.translations.resize_with(source + 1, || None);
        }
        let known = self.translations.get_mut(source).and_then(Option::take);
        let mut translation = match known {
            Some(known) if is_same(&known.dictionary, texts) => known,
            _ => Translation {
                dictionary: Arc::clone(coded.values()),
                codes: vec![None; texts.len()],
            },
        };
        let keys = coded.keys();
        for row in rows {
            let place = match keys.is_valid(row) {
                true => usize::try_from(keys.value(row)).ok(),
                false => None,
            };
            let code =
                match place.and_then(|place| Some((place, translation.codes.get_mut(place)?))) {
                    None => None,
                    Some((_, Some(code))) => Some(*code),
                    Some((place, unknown)) => Some(*unknown.insert(self.code(texts.value(place))?)),
                };
            self.codes.append_option(code);
        }
        if let Some(slot) = self.translations.get_mut(source) {
            *slot = Some(translation);
        }
        Ok(())
    }

    fn code(&mut self, text: &str) -> Result<i32, StorageError> {
        if let Some(code) = self.of_text.get(text) {
            return Ok(*code);
        }
        let code = i32::try_from(self.texts.len()).map_err(|_| StorageError::BlockTooLarge {
            what: "distinct texts",
            count: self.texts.len() as u64,
            limit: i32::MAX.unsigned_abs().into(),
        })?;
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.of_text.insert(text, code);
        Ok(code)
    }

    /// The column.
    ///
    /// # Errors
    /// If the texts together are longer than an array can be.
    pub(super) fn finish(mut self) -> Result<ArrayRef, StorageError> {
        let bytes: usize = self.texts.iter().map(|text| text.len()).sum();
        if i32::try_from(bytes).is_err() {
            return Err(StorageError::BlockTooLarge {
                what: "distinct texts",
                count: bytes as u64,
                limit: i32::MAX.unsigned_abs().into(),
            });
        }
        let keys: Int32Array = self.codes.finish();
        let texts = StringArray::from_iter_values(self.texts.iter());
        let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts));
        let array = array.map_err(|error| StorageError::arrow("making a dictionary", error))?;
        Ok(Arc::new(array))
    }
}

/// Whether a dictionary is the one that is held.
fn is_same(held: &ArrayRef, texts: &StringArray) -> bool {
    held.as_string_opt::<i32>().is_some_and(|held| {
        std::ptr::eq(
            held.value_offsets().as_ptr(),
            texts.value_offsets().as_ptr(),
        ) && held.len() == texts.len()
    })
}
