//! Counts spans by the values of one column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};

use super::codes::CodeCounts;
use super::numbers::Numbers;
use super::places::Places;
use super::tally::{Found, Tally, place_count};
use crate::grid::Grid;
use crate::lower::value::Type;
use crate::partial::KeyValue;

/// So many distinct numbers are forgotten once they are counted.
const MAX_NUMBERS: usize = 1 << 16;

/// Counts the spans of batches by the values of one column.
#[derive(Debug)]
pub(super) struct ColumnCounter {
    /// Where the attribute is in the tally.
    attribute: usize,
    value_type: Type,
    counts: CodeCounts,
    /// The texts of the codes that are counted, where the column is one of texts.
    dictionary: Option<ArrayRef>,
    /// The numbers of the codes, where it is one of numbers.
    numbers: Numbers,
    /// The codes of a batch.
    codes: Vec<u32>,
}

impl ColumnCounter {
    pub(super) fn new(attribute: usize, value_type: Type, grid: &Grid) -> Self {
        Self {
            attribute,
            value_type,
            counts: CodeCounts::new(place_count(grid)),
            dictionary: None,
            numbers: Numbers::default(),
            codes: Vec::new(),
        }
    }

    /// Counts the rows of a batch.
    pub(super) fn add(
        &mut self,
        values: &ArrayRef,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        if values.null_count() == values.len() {
            return Ok(());
        }
        if self.value_type.element().is_some() {
            // Each array is shown as the same text, so they are one value.
            let codes = vec![0; values.len()];
            return self.add_codes(&codes, values.nulls(), 1, places, tally);
        }
        match values.data_type() {
            DataType::Dictionary(..) => match values.as_dictionary_opt::<Int32Type>() {
                Some(values) => self.add_dictionary(values, places, tally),
                None => Err(unexpected(values)),
            },
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                self.add_texts(values, places, tally)
            }
            DataType::Boolean => self.add_bools(values.as_boolean(), places, tally),
            DataType::Float64 => {
                let numbers = values.as_primitive::<Float64Type>().values();
                let bits = numbers.iter().map(|&number| float_bits(number));
                self.add_numbers(bits, values.nulls(), places, tally)
            }
            DataType::Int32 => {
                let numbers = values.as_primitive::<Int32Type>().values();
                let bits = numbers.iter().map(|&number| int_bits(number.into()));
                self.add_numbers(bits, values.nulls(), places, tally)
            }
            _ => {
                let values = cast(values, &DataType::Int64)?;
                let numbers = values.as_primitive::<Int64Type>().values();
                let bits = numbers.iter().map(|&number| int_bits(number));
                self.add_numbers(bits, values.nulls(), places, tally)
            }
        }
    }

    fn add_dictionary(
        &mut self,
        values: &DictionaryArray<Int32Type>,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let texts = values.values();
        let is_held = |held: &ArrayRef| held.to_data().ptr_eq(&texts.to_data());
        if !self.dictionary.as_ref().is_some_and(is_held) {
            self.drain(tally)?;
            self.dictionary = Some(Arc::clone(texts));
            self.counts.restart(texts.len());
        }
        // Codes are checked when an array is made, except at nulls, where none is looked at.
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        codes.extend(
            values
                .keys()
                .values()
                .iter()
                .map(|code| code.unsigned_abs()),
        );
        let added = self.add_codes(&codes, values.nulls(), texts.len(), places, tally);
        self.codes = codes;
        added
    }

    /// Texts without codes are mostly distinct.
    fn add_texts(&self, values: &ArrayRef, places: &Places, tally: &mut Tally) -> Result<()> {
        let values = cast(values, &DataType::Utf8)?;
        let texts = values.as_string::<i32>();
        let held = tally.values(self.attribute);
        for (text, &place) in texts.iter().zip(&places.of_row) {
            if let Some(text) = text {
                held.add(Found::Text(text), &[(place, 1)]);
            }
        }
        Ok(())
    }

    fn add_bools(
        &mut self,
        values: &BooleanArray,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let codes: Vec<u32> = values.values().iter().map(u32::from).collect();
        self.add_codes(&codes, values.nulls(), 2, places, tally)
    }

    fn add_numbers(
        &mut self,
        bits: impl ExactSizeIterator<Item = u64>,
        nulls: Option<&NullBuffer>,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        if self.numbers.values().len() >= MAX_NUMBERS {
            self.drain(tally)?;
            self.numbers.clear();
            self.counts.restart(0);
        }
        let mut codes = std::mem::take(&mut self.codes);
        codes.clear();
        // Neighbours are often equal.
        let mut last: Option<(u64, u32)> = None;
        for (row, bits) in bits.enumerate() {
            codes.push(match last {
                Some((before, code)) if before == bits => code,
                _ if nulls.is_some_and(|nulls| nulls.is_null(row)) => 0,
                _ => {
                    let code = self.numbers.code(bits);
                    last = Some((bits, code));
                    code
                }
            });
        }
        let distinct = self.numbers.values().len();
        let added = self.add_codes(&codes, nulls, distinct, places, tally);
        self.codes = codes;
        added
    }

    /// Counts rows by codes below `distinct`.
    fn add_codes(
        &mut self,
        codes: &[u32],
        nulls: Option<&NullBuffer>,
        distinct: usize,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        if !self.counts.make_room(distinct) {
            self.drain(tally)?;
            self.counts.restart(distinct);
        }
        let counts = &mut self.counts;
        match (nulls.filter(|nulls| nulls.null_count() > 0), codes.first()) {
            (Some(nulls), _) => {
                let rows = nulls.valid_indices();
                counts.add(rows.map(|row| (codes[row], places.of_row[row])));
            }
            (None, Some(&first)) if codes.iter().all(|&code| code == first) => {
                counts.add_runs(first, &places.runs);
            }
            (None, _) => {
                let places = places.of_row.iter().copied();
                counts.add(codes.iter().copied().zip(places));
            }
        }
        Ok(())
    }

    /// Hands over to the tally what is counted by code.
    pub(super) fn drain(&mut self, tally: &mut Tally) -> Result<()> {
        let values = tally.values(self.attribute);
        let numbers = self.numbers.values();
        let dictionary = match &self.dictionary {
            Some(texts) => Some(cast(texts, &DataType::Utf8)?),
            None => None,
        };
        let texts = dictionary.as_ref().map(|texts| texts.as_string::<i32>());
        self.counts.drain(|code, spans| {
            let code = code as usize;
            let value = match (texts, self.value_type) {
                // A dictionary may hold null as a value.
                (Some(texts), _) if texts.is_null(code) => Found::Other(KeyValue::Nil),
                (Some(texts), _) => Found::Text(texts.value(code)),
                (None, Type::Bool) => Found::Other(KeyValue::Bool(code == 1)),
                (None, Type::Float) => Found::Other(KeyValue::Float(numbers[code])),
                (None, value_type) if value_type.element().is_some() => Found::array(),
                (None, value_type) => {
                    let number = numbers[code].cast_signed();
                    Found::Other(KeyValue::of_number(value_type, number))
                }
            };
            values.add(value, spans);
        });
        Ok(())
    }

    /// Bytes that are held besides the tally.
    pub(super) fn bytes(&self) -> usize {
        self.counts.bytes() + self.numbers.bytes() + self.codes.capacity() * size_of::<u32>()
    }
}

const fn int_bits(number: i64) -> u64 {
    number.cast_unsigned()
}

/// The bits of a float as a value: zeros of either sign are one.
fn float_bits(number: f64) -> u64 {
    if number == 0.0 { 0 } else { number.to_bits() }
}

fn unexpected(values: &ArrayRef) -> DataFusionError {
    let data_type = values.data_type();
    DataFusionError::Internal(format!("cannot compare values of type {data_type}"))
}
