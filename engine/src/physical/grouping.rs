//! From key columns to group numbers, by dictionary code where there is one.
//!
//! Each key column has an interner that numbers its distinct values; a dictionary's values are
//! numbered once per dictionary, so a row costs one look-up in a table. A group is a distinct
//! combination of those numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use hashbrown::HashMap;

/// Numbers the groups of key columns, in order of appearance.
#[derive(Debug)]
pub(crate) struct Grouping {
    columns: Vec<Interner>,
    /// Group of a combination of value numbers; unused for a single column, whose numbers are groups.
    combinations: HashMap<Box<[u32]>, u32>,
    /// Value numbers of each group, group after group.
    members: Vec<u32>,
}

impl Grouping {
    /// Groups by columns of these types.
    pub(crate) fn new(types: impl IntoIterator<Item = DataType>) -> Self {
        let columns = types.into_iter().map(Interner::new).collect();
        Self {
            columns,
            combinations: HashMap::new(),
            members: Vec::new(),
        }
    }

    /// The group of each row; `None` if there are no keys, and so only one group.
    pub(crate) fn groups(&mut self, keys: &[ArrayRef]) -> Result<Option<Vec<u32>>> {
        let numbers = self
            .columns
            .iter_mut()
            .zip(keys)
            .map(|(column, key)| column.numbers(key));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        Ok(self.combine(numbers))
    }

    /// The number that a key column of a row has for each of its codes.
    pub(crate) fn look_up(
        &mut self,
        column: usize,
        table: &mut KeyTable,
        codes: &[u32],
    ) -> Result<Vec<u32>> {
        let Some(interner) = self.columns.get_mut(column) else {
            return internal_err!("there are fewer keys");
        };
        let number = |&code: &u32| {
            let known = table.numbers.get(index(code));
            known.copied().unwrap_or(UNNUMBERED)
        };
        let mut numbers: Vec<u32> = codes.iter().map(number).collect();
        // Numbered when a row first has them: not every value of a dictionary is in use.
        if numbers.contains(&UNNUMBERED) {
            for (slot, &code) in numbers.iter_mut().zip(codes) {
                if *slot == UNNUMBERED {
                    *slot = interner.number_in(table, index(code))?;
                }
            }
        }
        Ok(numbers)
    }

    /// The group of each row by the numbers of its keys; `None` if there are no keys, and so only one
    /// group.
    pub(crate) fn combine(&mut self, mut numbers: Vec<Vec<u32>>) -> Option<Vec<u32>> {
        let width = numbers.len();
        if width < 2 {
            return numbers.pop();
        }
        let rows = numbers.first().map_or(0, Vec::len);
        let mut groups = Vec::with_capacity(rows);
        let mut row = vec![u32::MAX; width];
        let mut group = 0;
        for position in 0..rows {
            let same = row
                .iter()
                .zip(&numbers)
                .all(|(&last, column)| last == column[position]);
            // Neighbours are often of one group: spans of a trace stand together.
            if !same {
                for (slot, column) in row.iter_mut().zip(&numbers) {
                    *slot = column[position];
                }
                group = match self.combinations.get(row.as_slice()) {
                    Some(&group) => group,
                    None => {
                        let next = number(self.combinations.len());
                        self.combinations.insert(row.clone().into(), next);
                        self.members.extend_from_slice(&row);
                        next
                    }
                };
            }
            groups.push(group);
        }
        Some(groups)
    }

    /// Number of groups so far.
    pub(crate) fn len(&self) -> usize {
        match self.columns.as_slice() {
            [] => 1,
            [only] => only.values.len(),
            _ => self.combinations.len(),
        }
    }

    /// The key columns of all groups.
    pub(crate) fn keys(&self) -> Result<Vec<ArrayRef>> {
        let width = self.columns.len();
        let column = |(at, column): (usize, &Interner)| {
            if width == 1 {
                return column.array(0..self.len());
            }
            column.array(
                self.members
                    .iter()
                    .skip(at)
                    .step_by(width)
                    .map(|&number| index(number)),
            )
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        let values: usize = self.columns.iter().map(|column| column.bytes).sum();
        values + self.members.capacity() * size_of::<u32>() * 4 + self.combinations.capacity() * 32
    }
}

/// Numbers the distinct values of one column.
#[derive(Debug)]
struct Interner {
    data_type: DataType,
    texts: HashMap<Box<str>, u32>,
    integers: HashMap<i64, u32>,
    /// Numbers of the integers from 0 on: status codes, kinds, booleans.
    small: Box<[u32]>,
    null: Option<u32>,
    values: Vec<ScalarValue>,
    bytes: usize,
    /// The dictionary seen last.
    dictionary: Option<Dictionary>,
}

/// Distinct values of a key column, and the numbers of those that rows were seen to have.
#[derive(Debug)]
pub(crate) struct KeyTable {
    values: ArrayRef,
    /// The values as texts, or as integers.
    texts: Option<StringArray>,
    integers: Option<Int64Array>,
    numbers: Vec<u32>,
}

impl KeyTable {
    /// A table of values by code, none of which has a number yet.
    pub(crate) fn try_new(values: &ArrayRef) -> Result<Self> {
        let is_text = match values.data_type() {
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => true,
            DataType::Dictionary(_, values) => **values == DataType::Utf8,
            _ => false,
        };
        let (texts, integers) = if is_text {
            let texts = cast(values, &DataType::Utf8)?;
            (Some(texts.as_string().clone()), None)
        } else {
            let integers = as_integers(values)?;
            (None, Some(integers.as_primitive::<Int64Type>().clone()))
        };
        Ok(Self {
            values: Arc::clone(values),
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
    texts: StringArray,
    numbers: Vec<u32>,
}

/// A code whose value has not been numbered yet.
const UNNUMBERED: u32 = u32::MAX;
/// Integers below this are numbered by a table instead of a hash map.
const SMALL: usize = 1024;

impl Interner {
    fn new(data_type: DataType) -> Self {
        Self {
            data_type,
            texts: HashMap::new(),
            integers: HashMap::new(),
            small: Box::default(),
            null: None,
            values: Vec::new(),
            bytes: 0,
            dictionary: None,
        }
    }

    fn numbers(&mut self, key: &ArrayRef) -> Result<Vec<u32>> {
        match key.data_type() {
            DataType::Dictionary(codes, _) if **codes == DataType::Int32 => {
                let key = key.as_dictionary::<Int32Type>();
                self.coded(key.keys(), key.values())
            }
            DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8
            | DataType::Dictionary(..) => self.texts(key),
            _ => self.integers(key),
        }
    }

    fn coded(&mut self, codes: &Int32Array, values: &ArrayRef) -> Result<Vec<u32>> {
        let mut dictionary = match self.dictionary.take() {
            Some(held) if held.is_of(values) => held,
            _ => Dictionary::try_new(values)?,
        };
        let mut numbers = dictionary.numbers_of(codes);
        // Numbered when a row first has them: not every value of a dictionary is in use.
        if codes.null_count() > 0 || numbers.contains(&UNNUMBERED) {
            for (row, number) in numbers.iter_mut().enumerate() {
                if codes.is_null(row) {
                    *number = self.null();
                } else if *number == UNNUMBERED {
                    *number = self.value_of(&mut dictionary, codes.value(row));
                }
            }
        }
        self.dictionary = Some(dictionary);
        Ok(numbers)
    }

    fn value_of(&mut self, dictionary: &mut Dictionary, code: i32) -> u32 {
        let slot = slot(code);
        let known = dictionary.numbers.get(slot).copied();
        match known {
            Some(UNNUMBERED) => {
                let number = if dictionary.texts.is_null(slot) {
                    self.null()
                } else {
                    self.text(dictionary.texts.value(slot))
                };
                dictionary.numbers[slot] = number;
                number
            }
            Some(number) => number,
            None => self.null(),
        }
    }

    fn texts(&mut self, key: &ArrayRef) -> Result<Vec<u32>> {
        let key = cast(key, &DataType::Utf8View)?;
        let key = key.as_string_view();
        let number = |text| match text {
            Some(text) => self.text(text),
            None => self.null(),
        };
        Ok(key.iter().map(number).collect())
    }

    /// The number of one of the values of a table.
    fn number_in(&mut self, table: &mut KeyTable, code: usize) -> Result<u32> {
        if let Some(&number) = table.numbers.get(code)
            && number != UNNUMBERED
        {
            return Ok(number);
        }
        let number = match (&table.texts, &table.integers) {
            (Some(texts), _) if texts.is_valid(code) => self.text(texts.value(code)),
            (_, Some(integers)) if integers.is_valid(code) => {
                self.integer(integers.value(code), &table.values, code)?
            }
            _ => self.null(),
        };
        table.numbers[code] = number;
        Ok(number)
    }

    /// Integers, booleans, and the bits of floats.
    fn integers(&mut self, key: &ArrayRef) -> Result<Vec<u32>> {
        self.mapped(&as_integers(key)?, key)
    }

    fn mapped(&mut self, integers: &ArrayRef, key: &ArrayRef) -> Result<Vec<u32>> {
        let integers = integers.as_primitive::<Int64Type>();
        let mut numbers = Vec::with_capacity(integers.len());
        let all_valid = integers.null_count() == 0;
        for (row, &value) in integers.values().iter().enumerate() {
            if !(all_valid || integers.is_valid(row)) {
                numbers.push(self.null());
                continue;
            }
            let small = usize::try_from(value)
                .ok()
                .and_then(|value| self.small.get(value));
            numbers.push(match small {
                Some(&number) if number != UNNUMBERED => number,
                _ => self.integer(value, key, row)?,
            });
        }
        Ok(numbers)
    }

    fn integer(&mut self, value: i64, key: &ArrayRef, row: usize) -> Result<u32> {
        if let Some(&number) = self.integers.get(&value) {
            return Ok(number);
        }
        let number = self.push(
            ScalarValue::try_from_array(key, row)?,
            size_of::<(i64, u32)>(),
        );
        self.integers.insert(value, number);
        if let Some(at) = usize::try_from(value).ok().filter(|&at| at < SMALL) {
            if self.small.is_empty() {
                self.small = vec![UNNUMBERED; SMALL].into();
            }
            self.small[at] = number;
        }
        Ok(number)
    }

    fn null(&mut self) -> u32 {
        match self.null {
            Some(number) => number,
            None => {
                let number = self.push(ScalarValue::Utf8(None), 0);
                self.null = Some(number);
                number
            }
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.texts.get(text) {
            return number;
        }
        let number = self.push(
            ScalarValue::Utf8(Some(text.to_owned())),
            2 * text.len() + size_of::<(Box<str>, u32)>(),
        );
        self.texts.insert(text.into(), number);
        number
    }

    fn push(&mut self, value: ScalarValue, bytes: usize) -> u32 {
        let number = number(self.values.len());
        self.bytes += bytes + size_of::<ScalarValue>();
        self.values.push(value);
        number
    }

    /// The values of these numbers, as a column of the key's type.
    fn array(&self, numbers: impl Iterator<Item = usize>) -> Result<ArrayRef> {
        let stored_as = match &self.data_type {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let value = |number: usize| match self.values.get(number) {
            Some(value) if !value.is_null() => value.cast_to(stored_as),
            _ => ScalarValue::try_from(stored_as),
        };
        let values = numbers.map(value).collect::<Result<Vec<_>>>()?;
        let array = if values.is_empty() {
            arrow::array::new_empty_array(stored_as)
        } else {
            ScalarValue::iter_to_array(values)?
        };
        Ok(cast(&array, &self.data_type)?)
    }
}

impl Dictionary {
    fn try_new(values: &ArrayRef) -> Result<Self> {
        Ok(Self {
            values: Arc::clone(values),
            texts: cast(values, &DataType::Utf8)?.as_string().clone(),
            numbers: vec![UNNUMBERED; values.len()],
        })
    }

    fn is_of(&self, values: &ArrayRef) -> bool {
        Arc::ptr_eq(&self.values, values) || self.values.to_data().ptr_eq(&values.to_data())
    }

    /// The numbers of codes, as far as they have one.
    fn numbers_of(&self, codes: &Int32Array) -> Vec<u32> {
        let number = |&code| self.numbers.get(slot(code)).copied().unwrap_or(UNNUMBERED);
        codes.values().iter().map(number).collect()
    }
}

/// Integers and booleans as integers, floats as their bits.
fn as_integers(key: &ArrayRef) -> Result<ArrayRef> {
    if *key.data_type() == DataType::Float64 {
        let bits = key.to_data().into_builder().data_type(DataType::Int64);
        return Ok(arrow::array::make_array(bits.build()?));
    }
    Ok(cast(key, &DataType::Int64)?)
}

fn slot(code: i32) -> usize {
    usize::try_from(code).unwrap_or(usize::MAX)
}

/// The next number after so many.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(UNNUMBERED - 1)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
