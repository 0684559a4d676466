//! Counts spans by the values of one column.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use storage::block::encoded::RowCodes;

use super::codes::CodeCounts;
use super::numbers::NumberCodes;
use super::places::Places;
use super::spans::place_count;
use super::tally::Tally;
use super::values::SeenValue;
use crate::grid::Grid;
use crate::key::KeyValue;
use crate::types::Type;

/// So many distinct numbers are forgotten once they are counted.
const MAX_NUMBERS: usize = 1 << 16;

/// Counts spans by the values of one column.
#[derive(Debug)]
pub(crate) struct ColumnCounter {
    /// Where the attribute is in the tally.
    attribute: usize,
    value_type: Type,
    counts: CodeCounts,
    /// What the codes stand for that are counted: values of a dictionary, or [`Self::numbers`].
    dictionary: Option<ArrayRef>,
    /// The numbers of codes, where a column of numbers has no dictionary.
    numbers: NumberCodes,
    /// The codes of a batch.
    codes: RowCodes,
}

impl ColumnCounter {
    /// Counts nothing yet. `attribute` is the place of the attribute in the tally.
    pub(crate) fn new(attribute: usize, value_type: Type, grid: &Grid) -> Self {
        Self {
            attribute,
            value_type,
            counts: CodeCounts::new(place_count(grid)),
            dictionary: None,
            numbers: NumberCodes::default(),
            codes: RowCodes::default(),
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
            return self.add_each(&codes, values.nulls(), 1, places, tally);
        }
        match values.data_type() {
            DataType::Dictionary(..) => match values.as_dictionary_opt::<Int32Type>() {
                Some(values) => self.add_dictionary(values, places, tally),
                None => Err(unexpected(values.data_type())),
            },
            // Texts without codes are mostly distinct.
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
                self.add_values(values, places, tally)
            }
            DataType::Boolean => {
                let codes: Vec<u32> = values.as_boolean().values().iter().map(u32::from).collect();
                self.add_each(&codes, values.nulls(), 2, places, tally)
            }
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
            self.begin(Arc::clone(texts), tally)?;
        }
        // Codes are checked when an array is made, except at nulls, where none is looked at.
        let codes = values.keys().values().iter();
        let codes: Vec<u32> = codes.map(|code| code.unsigned_abs()).collect();
        self.add_each(&codes, values.nulls(), texts.len(), places, tally)
    }

    /// Goes on to codes of other values.
    ///
    /// # Errors
    /// If the values so far are of a type that attributes do not have.
    pub(crate) fn begin(&mut self, dictionary: ArrayRef, tally: &mut Tally) -> Result<()> {
        self.drain(tally)?;
        self.counts.restart(dictionary.len());
        self.dictionary = Some(dictionary);
        Ok(())
    }

    /// Counts rows by values that have no codes.
    ///
    /// # Errors
    /// If they are of a type that attributes do not have.
    pub(crate) fn add_values(
        &self,
        values: &ArrayRef,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let by_row = CodedValues::try_new(values, self.value_type)?;
        let held = tally.values(self.attribute);
        let mut add = |row: usize| held.add(by_row.get(row), &[(places.of_row(row), 1)]);
        match values.nulls() {
            None => places.kept().ones().for_each(add),
            // Mostly few rows have a value.
            Some(nulls) => {
                for row in nulls.valid_indices() {
                    if places.kept().get(row) {
                        add(row);
                    }
                }
            }
        }
        Ok(())
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
        // Neighbours are often equal.
        let mut last: Option<(u64, u32)> = None;
        let mut codes = Vec::with_capacity(bits.len());
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
        self.add_each(&codes, nulls, distinct, places, tally)
    }

    /// Counts rows by codes below `distinct`, one for each row.
    fn add_each(
        &mut self,
        codes: &[u32],
        nulls: Option<&NullBuffer>,
        distinct: usize,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let mut rows = std::mem::take(&mut self.codes);
        match (nulls, codes) {
            (None, &[first, ..]) if codes.iter().all(|&code| code == first) => {
                rows.set_same(first, codes.len());
            }
            _ => rows.set_each(
                codes,
                nulls.map(|nulls| move |row: usize| nulls.is_valid(row)),
            ),
        }
        let added = self.add_codes(&rows, distinct, places, tally);
        self.codes = rows;
        added
    }

    /// Counts rows by their codes, all below `distinct`.
    ///
    /// # Errors
    /// If what they stand for is of a type that attributes do not have.
    pub(crate) fn add_codes(
        &mut self,
        rows: &RowCodes,
        distinct: usize,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        if !self.counts.make_room(distinct) {
            self.drain(tally)?;
            self.counts.restart(distinct);
        }
        self.counts.add(rows, places);
        Ok(())
    }

    /// Hands over to the tally what is counted by code.
    ///
    /// # Errors
    /// If the values are of a type that attributes do not have.
    pub(crate) fn drain(&mut self, tally: &mut Tally) -> Result<()> {
        let values = match &self.dictionary {
            Some(dictionary) => CodedValues::try_new(dictionary, self.value_type)?,
            None => CodedValues::Numbers(self.value_type, self.numbers.values()),
        };
        let held = tally.values(self.attribute);
        self.counts
            .drain(|code, spans| held.add(values.get(code as usize), spans));
        Ok(())
    }

    /// Bytes that are held besides the tally.
    pub(crate) fn bytes(&self) -> usize {
        self.counts.bytes() + self.numbers.bytes()
    }
}

/// Values by their codes, or those of rows.
enum CodedValues<'a> {
    Texts(StringArray),
    Floats(&'a Float64Array),
    Bools(&'a BooleanArray),
    /// Of a type that whole numbers have.
    Whole(Type, Int64Array),
    /// As 64-bit patterns.
    Numbers(Type, &'a [u64]),
}

impl<'a> CodedValues<'a> {
    fn try_new(values: &'a ArrayRef, value_type: Type) -> Result<Self> {
        let as_type = |data_type| cast(values, &data_type);
        Ok(match values.data_type() {
            DataType::Dictionary(..)
            | DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8 => Self::Texts(as_type(DataType::Utf8)?.as_string().clone()),
            DataType::Float64 => Self::Floats(values.as_primitive()),
            DataType::Boolean => Self::Bools(values.as_boolean()),
            DataType::Int32 | DataType::Int64 => {
                Self::Whole(value_type, as_type(DataType::Int64)?.as_primitive().clone())
            }
            other => return Err(unexpected(other)),
        })
    }

    /// The value at a place; that of none at all counts nowhere.
    fn get(&self, at: usize) -> SeenValue<'_> {
        let nil = SeenValue::Other(KeyValue::Nil);
        match self {
            Self::Texts(texts) if texts.is_valid(at) => SeenValue::Text(texts.value(at)),
            Self::Floats(numbers) if numbers.is_valid(at) => {
                SeenValue::Other(KeyValue::float(numbers.value(at)))
            }
            Self::Bools(bools) if bools.is_valid(at) => {
                SeenValue::Other(KeyValue::Bool(bools.value(at)))
            }
            Self::Whole(value_type, numbers) if numbers.is_valid(at) => {
                SeenValue::Other(KeyValue::of_number(*value_type, numbers.value(at)))
            }
            Self::Numbers(Type::Bool, _) => SeenValue::Other(KeyValue::Bool(at == 1)),
            Self::Numbers(value_type, _) if value_type.element().is_some() => SeenValue::array(),
            Self::Numbers(Type::Float, bits) => bits
                .get(at)
                .map_or(nil, |bits| SeenValue::Other(KeyValue::Float(*bits))),
            Self::Numbers(value_type, bits) => bits.get(at).map_or(nil, |bits| {
                SeenValue::Other(KeyValue::of_number(*value_type, bits.cast_signed()))
            }),
            Self::Texts(_) | Self::Floats(_) | Self::Bools(_) | Self::Whole(..) => nil,
        }
    }
}

const fn int_bits(number: i64) -> u64 {
    number.cast_unsigned()
}

/// The bits of a float as a value: zeros of either sign are one.
fn float_bits(number: f64) -> u64 {
    if number == 0.0 { 0 } else { number.to_bits() }
}

fn unexpected(data_type: &DataType) -> DataFusionError {
    DataFusionError::Internal(format!("cannot compare values of type {data_type}"))
}
