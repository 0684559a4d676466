//! Numbers for the distinct values of one key column, in order of appearance.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::Result;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::index::index;

/// A code whose value has not been numbered yet.
pub(super) const UNNUMBERED: u32 = u32::MAX;
/// Integers below this are numbered by a table instead of a hash map.
const SMALL: usize = 1024;

/// Numbers the distinct values of one column.
#[derive(Debug)]
pub(super) struct Interner {
    /// Of the values, without a dictionary around them.
    data_type: DataType,
    values: InternedValues,
    null: Option<u32>,
    /// The dictionary seen last.
    dictionary: Option<Dictionary>,
}

/// The values by number. What is null has a number among them, and any value there.
#[derive(Debug)]
enum InternedValues {
    Texts(Texts),
    Integers(Integers),
}

/// Texts one behind the other: a hundred thousand keys are no hundred thousand allocations.
#[derive(Debug, Default)]
struct Texts {
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
    bytes: String,
    /// Where each text ends.
    ends: Vec<usize>,
}

/// Integers, booleans, and the bits of floats.
#[derive(Debug, Default)]
struct Integers {
    numbers: HashMap<i64, u32>,
    /// Numbers of the integers from 0 on: status codes, kinds, booleans.
    small: Box<[u32]>,
    values: Vec<i64>,
}

/// Distinct values of a key column, and the numbers of those that rows were seen to have.
#[derive(Debug)]
pub(crate) struct KeyTable {
    /// The values as texts, or as integers.
    texts: Option<StringArray>,
    integers: Option<Int64Array>,
    pub(super) numbers: Vec<u32>,
}

impl KeyTable {
    /// A table of values by code, none of which has a number yet.
    pub(crate) fn try_new(values: &ArrayRef) -> Result<Self> {
        let (texts, integers) = if is_text(plain(values.data_type())) {
            let texts = cast(values, &DataType::Utf8)?;
            (Some(texts.as_string().clone()), None)
        } else {
            (None, Some(as_integers(values)?))
        };
        Ok(Self {
            texts,
            integers,
            numbers: vec![UNNUMBERED; values.len()],
        })
    }
}

/// A dictionary and the numbers of its values.
#[derive(Debug)]
struct Dictionary {
    values: ArrayRef,
    table: KeyTable,
}

impl Interner {
    pub(super) fn new(data_type: &DataType) -> Self {
        let data_type = plain(data_type).clone();
        let values = if is_text(&data_type) {
            InternedValues::Texts(Texts::default())
        } else {
            InternedValues::Integers(Integers::default())
        };
        Self {
            data_type,
            values,
            null: None,
            dictionary: None,
        }
    }

    /// How many values have a number.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            InternedValues::Texts(texts) => texts.ends.len(),
            InternedValues::Integers(integers) => integers.values.len(),
        }
    }

    /// Bytes held, about.
    pub(super) fn bytes(&self) -> usize {
        match &self.values {
            InternedValues::Texts(texts) => {
                let numbers = texts.numbers.capacity() * 2 * size_of::<u32>();
                texts.bytes.capacity() + texts.ends.capacity() * size_of::<usize>() + numbers
            }
            InternedValues::Integers(integers) => {
                let numbers = integers.numbers.capacity() * 2 * size_of::<(i64, u32)>();
                integers.values.capacity() * size_of::<i64>() + numbers
            }
        }
    }

    /// The number of the value of each row.
    pub(super) fn numbers(&mut self, key: &ArrayRef) -> Result<Vec<u32>> {
        match key.data_type() {
            DataType::Dictionary(codes, _) if **codes == DataType::Int32 => {
                let key = key.as_dictionary::<Int32Type>();
                self.coded(key.keys(), key.values())
            }
            data_type if is_text(plain(data_type)) => {
                let key = cast(key, &DataType::Utf8View)?;
                let number = |text| match text {
                    Some(text) => self.text(text),
                    None => self.null(),
                };
                Ok(key.as_string_view().iter().map(number).collect())
            }
            _ => {
                let key = as_integers(key)?;
                let number = |integer| match integer {
                    Some(integer) => self.integer(integer),
                    None => self.null(),
                };
                Ok(key.iter().map(number).collect())
            }
        }
    }

    fn coded(&mut self, codes: &Int32Array, values: &ArrayRef) -> Result<Vec<u32>> {
        let mut dictionary = match self.dictionary.take() {
            Some(held) if held.is_of(values) => held,
            _ => Dictionary {
                values: Arc::clone(values),
                table: KeyTable::try_new(values)?,
            },
        };
        let slot = |&code: &i32| usize::try_from(code).unwrap_or(usize::MAX);
        let known = &dictionary.table.numbers;
        let number = |code| known.get(slot(code)).copied().unwrap_or(UNNUMBERED);
        let mut numbers: Vec<u32> = codes.values().iter().map(number).collect();
        // Numbered when a row first has them: not every value of a dictionary is in use.
        if codes.null_count() > 0 || numbers.contains(&UNNUMBERED) {
            for (row, number) in numbers.iter_mut().enumerate() {
                if codes.is_null(row) {
                    *number = self.null();
                } else if *number == UNNUMBERED {
                    *number = self.number_in(&mut dictionary.table, slot(&codes.value(row)));
                }
            }
        }
        self.dictionary = Some(dictionary);
        Ok(numbers)
    }

    /// The number of one of the values of a table.
    pub(super) fn number_in(&mut self, table: &mut KeyTable, code: usize) -> u32 {
        match table.numbers.get(code) {
            Some(&number) if number != UNNUMBERED => return number,
            Some(_) => {}
            None => return self.null(),
        }
        let number = match (&table.texts, &table.integers) {
            (Some(texts), _) if texts.is_valid(code) => self.text(texts.value(code)),
            (_, Some(integers)) if integers.is_valid(code) => self.integer(integers.value(code)),
            _ => self.null(),
        };
        table.numbers[code] = number;
        number
    }

    fn text(&mut self, text: &str) -> u32 {
        match &mut self.values {
            InternedValues::Texts(texts) => texts.number(text),
            InternedValues::Integers(_) => self.null(),
        }
    }

    fn integer(&mut self, integer: i64) -> u32 {
        match &mut self.values {
            InternedValues::Integers(integers) => integers.number(integer),
            InternedValues::Texts(_) => self.null(),
        }
    }

    fn null(&mut self) -> u32 {
        let values = &mut self.values;
        *self.null.get_or_insert_with(|| match values {
            InternedValues::Texts(texts) => texts.push(""),
            InternedValues::Integers(integers) => integers.push(0),
        })
    }

    /// The values of these numbers, as a column of the key's type without a dictionary.
    pub(super) fn array(&self, numbers: impl Iterator<Item = u32>) -> Result<ArrayRef> {
        let null = self.null;
        let valued = numbers.map(|number| (Some(number) != null).then_some(number));
        let array: ArrayRef = match &self.values {
            InternedValues::Texts(texts) => {
                let values = valued.map(|number| Some(texts.get(number?)));
                Arc::new(values.collect::<StringArray>())
            }
            InternedValues::Integers(integers) => {
                let values = valued.map(|number| integers.values.get(index(number?)).copied());
                let values: Int64Array = values.collect();
                if self.data_type == DataType::Float64 {
                    Arc::new(
                        values.unary::<_, Float64Type>(|bits| f64::from_bits(bits.cast_unsigned())),
                    )
                } else {
                    Arc::new(values)
                }
            }
        };
        Ok(cast(&array, &self.data_type)?)
    }
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let same = |&number: &u32| get(&self.bytes, &self.ends, number) == text;
        if let Some(&number) = self.numbers.find(hash, same) {
            return number;
        }
        let number = self.push(text);
        let hash_of = |&number: &u32| self.hasher.hash_one(get(&self.bytes, &self.ends, number));
        self.numbers.insert_unique(hash, number, hash_of);
        number
    }

    fn push(&mut self, text: &str) -> u32 {
        let number = next(self.ends.len());
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        number
    }

    fn get(&self, number: u32) -> &str {
        get(&self.bytes, &self.ends, number)
    }
}

fn get<'a>(bytes: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = index(number);
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[at]]
}

impl Integers {
    fn number(&mut self, integer: i64) -> u32 {
        let small = usize::try_from(integer).ok().filter(|&at| at < SMALL);
        if let Some(&number) = small.and_then(|at| self.small.get(at))
            && number != UNNUMBERED
        {
            return number;
        }
        if let Some(&number) = self.numbers.get(&integer) {
            return number;
        }
        let number = self.push(integer);
        self.numbers.insert(integer, number);
        if let Some(at) = small {
            if self.small.is_empty() {
                self.small = vec![UNNUMBERED; SMALL].into();
            }
            self.small[at] = number;
        }
        number
    }

    fn push(&mut self, integer: i64) -> u32 {
        self.values.push(integer);
        next(self.values.len() - 1)
    }
}

impl Dictionary {
    fn is_of(&self, values: &ArrayRef) -> bool {
        Arc::ptr_eq(&self.values, values) || self.values.to_data().ptr_eq(&values.to_data())
    }
}

/// A type without a dictionary around it.
fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
    )
}

/// Integers and booleans as integers, floats as their bits.
fn as_integers(key: &ArrayRef) -> Result<Int64Array> {
    if let Some(floats) = key.as_any().downcast_ref::<Float64Array>() {
        return Ok(floats.unary(|float| float.to_bits().cast_signed()));
    }
    let integers = cast(key, &DataType::Int64)?;
    Ok(integers.as_primitive::<Int64Type>().clone())
}

/// The next number after so many.
fn next(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(UNNUMBERED - 1)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, DictionaryArray};

    use super::*;

    fn round_trip(key: &ArrayRef, numbers: &[u32], distinct: &ArrayRef) {
        let mut interner = Interner::new(key.data_type());
        assert_eq!(interner.numbers(key).unwrap(), numbers);
        assert_eq!(interner.numbers(key).unwrap(), numbers);
        let all = interner.array((0..).take(interner.len())).unwrap();
        assert_eq!(&all, distinct);
    }

    #[test]
    fn values_of_every_kind_come_back() {
        let key: DictionaryArray<Int32Type> = [Some("b"), None, Some(""), Some("b"), Some("a")]
            .into_iter()
            .collect();
        let distinct = StringArray::from(vec![Some("b"), None, Some(""), Some("a")]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 2, 0, 3],
            &(Arc::new(distinct) as ArrayRef),
        );
        let key = StringArray::from(vec![Some(""), None, Some("é"), Some("")]);
        let distinct = StringArray::from(vec![Some(""), None, Some("é")]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 2, 0],
            &(Arc::new(distinct) as ArrayRef),
        );
        let key = Int64Array::from(vec![None, Some(0), Some(i64::MIN), Some(5), Some(0)]);
        let distinct = Int64Array::from(vec![None, Some(0), Some(i64::MIN), Some(5)]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 2, 3, 1],
            &(Arc::new(distinct) as ArrayRef),
        );
        let key = Float64Array::from(vec![Some(0.25), Some(-0.0), None, Some(0.0), Some(0.25)]);
        let distinct = Float64Array::from(vec![Some(0.25), Some(-0.0), None, Some(0.0)]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 2, 3, 0],
            &(Arc::new(distinct) as ArrayRef),
        );
        let key = BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]);
        let distinct = BooleanArray::from(vec![Some(true), None, Some(false)]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 2, 0],
            &(Arc::new(distinct) as ArrayRef),
        );
        let key = Int32Array::from(vec![Some(2), Some(1), None, Some(2000)]);
        round_trip(
            &(Arc::new(key.clone()) as ArrayRef),
            &[0, 1, 2, 3],
            &(Arc::new(key) as ArrayRef),
        );
    }

    #[test]
    fn nulls_inside_a_dictionary_are_nulls() {
        let codes = Int32Array::from(vec![Some(0), Some(1), None]);
        let values = StringArray::from(vec![None, Some("a")]);
        let key = DictionaryArray::try_new(codes, Arc::new(values)).unwrap();
        let distinct = StringArray::from(vec![None, Some("a")]);
        round_trip(
            &(Arc::new(key) as ArrayRef),
            &[0, 1, 0],
            &(Arc::new(distinct) as ArrayRef),
        );
    }
}
