//! Counts the spans of one slice by the values of their attributes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, ListArray, RecordBatch,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;
use storage::model::AnyValue;
use storage::otlp::{KeyInterner, value_from_bytes};
use storage::schema::names;

use super::columns::{Compared, canonical, is_service_name};
use super::tally::{Side, Tally};
use crate::aggregate::interval::IntervalCursor;
use crate::batch::named;
use crate::lower::KeyKind;
use crate::lower::value::Type;
use crate::partial::{KeyColumn, KeyValue};

/// Counts what is compared.
pub(crate) struct Counter<'a> {
    pub(crate) compared: &'a Compared,
    /// One for each of [`Compared::values`].
    pub(crate) values: Vec<Arc<dyn PhysicalExpr>>,
    pub(crate) time: Arc<dyn PhysicalExpr>,
    pub(crate) cursor: IntervalCursor,
    /// Whether a span is of the selection.
    pub(crate) selection: Arc<dyn PhysicalExpr>,
    pub(crate) tally: Tally,
}

/// Rows of one side and interval.
struct Part {
    side: Side,
    interval: u32,
    rows: Vec<usize>,
}

impl Counter<'_> {
    /// Counts the spans of a batch that start in the window.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let times = self.time.evaluate(batch)?.into_array(batch.num_rows())?;
        let times = times.as_primitive::<Int64Type>().values();
        let intervals: Vec<Option<usize>> =
            times.iter().map(|&time| self.cursor.find(time)).collect();
        if intervals.iter().all(Option::is_none) {
            return Ok(());
        }
        // On spans outside the window nothing is evaluated, so that nothing can fail there.
        let (batch, intervals) = if intervals.contains(&None) {
            let inside: BooleanArray = intervals.iter().map(|at| Some(at.is_some())).collect();
            let kept = intervals.into_iter().flatten().collect();
            (filter_record_batch(batch, &inside)?, kept)
        } else {
            (batch.clone(), intervals.into_iter().flatten().collect())
        };
        let parts = self.parts(&batch, intervals)?;
        for (column, expr) in self.compared.values.iter().zip(&self.values) {
            let values = expr.evaluate(&batch)?.into_array(batch.num_rows())?;
            let tally = &mut self.tally;
            count(&column.attribute, column.value_type, &values, &parts, tally)?;
        }
        self.add_residuals(&batch, &parts)?;
        self.tally
            .check_memory()
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn parts(&self, batch: &RecordBatch, intervals: Vec<usize>) -> Result<Vec<Part>> {
        let rows = batch.num_rows();
        let selected = self.selection.evaluate(batch)?.into_array(rows)?;
        let selected = selected.as_boolean();
        let mut parts: Vec<Part> = Vec::new();
        let mut places: HashMap<(bool, usize), usize> = HashMap::new();
        for (row, interval) in intervals.into_iter().enumerate() {
            let is_selected = selected.is_valid(row) && selected.value(row);
            let place = *places.entry((is_selected, interval)).or_insert_with(|| {
                parts.push(Part {
                    side: if is_selected {
                        Side::Selection
                    } else {
                        Side::Baseline
                    },
                    interval: u32::try_from(interval).unwrap_or(u32::MAX),
                    rows: Vec::new(),
                });
                parts.len() - 1
            });
            parts[place].rows.push(row);
        }
        Ok(parts)
    }

    fn add_residuals(&mut self, batch: &RecordBatch, parts: &[Part]) -> Result<()> {
        for residual in &self.compared.residuals {
            let lists = named(batch, residual.name)?.as_list::<i32>();
            let entries = Entries::try_new(lists)?;
            let mut shadows: HashMap<&str, Vec<&ArrayRef>> = HashMap::new();
            for (key, columns) in &residual.shadows {
                let columns = columns.iter().map(|name| named(batch, name));
                shadows.insert(key, columns.collect::<Result<_>>()?);
            }
            let mut labels: HashMap<String, Arc<str>> = HashMap::new();
            for part in parts {
                for &row in &part.rows {
                    let mut before: Option<&str> = None;
                    for at in entries.of_row(row) {
                        let key = entries.keys.value(at);
                        // Of a key that stands twice the first counts, which may be in a column.
                        let repeated = before.replace(key) == Some(key)
                            || shadows
                                .get(key)
                                .is_some_and(|columns| columns.iter().any(|c| c.is_valid(row)));
                        if repeated || is_service_name(residual.scope, key) {
                            continue;
                        }
                        let Some(value) = entries.value(at) else {
                            continue;
                        };
                        let label = match labels.get(key) {
                            Some(label) => Arc::clone(label),
                            None => {
                                let label = canonical(residual.scope, key);
                                labels.insert(key.to_owned(), Arc::clone(&label));
                                label
                            }
                        };
                        self.tally.add(&label, value, part.side, part.interval, 1);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Counts the rows of each part by the values of a column.
fn count(
    attribute: &Arc<str>,
    value_type: Type,
    values: &ArrayRef,
    parts: &[Part],
    tally: &mut Tally,
) -> Result<()> {
    if values.null_count() == values.len() {
        return Ok(());
    }
    if value_type.element().is_some() {
        // Each array is shown as the same text, so they are one value.
        for part in parts {
            let rows = part
                .rows
                .iter()
                .filter(|&&row| values.is_valid(row))
                .count();
            add(tally, attribute, KeyValue::array(), part, rows);
        }
        return Ok(());
    }
    let (codes, distinct) = coded(values)?;
    let distinct = KeyColumn::try_new(KeyKind::Typed(value_type), &distinct)?;
    let mut counts = vec![0_usize; distinct.len()];
    let mut touched = Vec::new();
    for part in parts {
        for &row in &part.rows {
            if let Some(code) = codes[row] {
                let count = &mut counts[code as usize];
                if *count == 0 {
                    touched.push(code);
                }
                *count += 1;
            }
        }
        for code in touched.drain(..) {
            let rows = std::mem::take(&mut counts[code as usize]);
            match distinct.get(code as usize)? {
                // A dictionary may hold null as a value.
                KeyValue::Nil => {}
                value => add(tally, attribute, value, part, rows),
            }
        }
    }
    Ok(())
}

fn add(tally: &mut Tally, attribute: &Arc<str>, value: KeyValue, part: &Part, rows: usize) {
    if rows > 0 {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        tally.add(attribute, value, part.side, part.interval, rows);
    }
}

/// The number of each row's value among some distinct ones.
fn coded(values: &ArrayRef) -> Result<(Vec<Option<u32>>, ArrayRef)> {
    if let Some(values) = values.as_dictionary_opt::<Int32Type>() {
        return Ok(of_dictionary(values));
    }
    match values.data_type() {
        // An array that is no dictionary is made one: the kernel finds equal texts.
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let coded = cast(&cast(values, &DataType::Utf8)?, &coded)?;
            Ok(of_dictionary(coded.as_dictionary::<Int32Type>()))
        }
        DataType::Boolean => {
            let both: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
            let codes = values.as_boolean().iter().map(|value| value.map(u32::from));
            Ok((codes.collect(), both))
        }
        DataType::Float64 => {
            let bits = values.as_primitive::<Float64Type>().iter();
            let (codes, places) = numbered(bits.map(|value| value.map(f64::to_bits)));
            Ok((codes, arrow::compute::take(values, &places, None)?))
        }
        _ => {
            let integers = cast(values, &DataType::Int64)?;
            let (codes, places) = numbered(integers.as_primitive::<Int64Type>().iter());
            Ok((codes, arrow::compute::take(values, &places, None)?))
        }
    }
}

fn of_dictionary(values: &DictionaryArray<Int32Type>) -> (Vec<Option<u32>>, ArrayRef) {
    let codes = values.keys().iter();
    let codes = codes.map(|code| code.map(i32::unsigned_abs)).collect();
    (codes, Arc::clone(values.values()))
}

/// Numbers values as they appear; also gives the row of each number's first appearance.
fn numbered<T: Eq + std::hash::Hash + Copy>(
    values: impl Iterator<Item = Option<T>>,
) -> (Vec<Option<u32>>, arrow::array::UInt32Array) {
    let mut numbers: HashMap<T, u32> = HashMap::new();
    let mut places = Vec::new();
    let mut last: Option<(T, u32)> = None;
    let mut number = |(row, value): (u32, Option<T>)| {
        let value = value?;
        // Neighbours are often equal.
        if let Some((before, number)) = last
            && before == value
        {
            return Some(number);
        }
        let number = *numbers.entry(value).or_insert_with(|| {
            places.push(row);
            u32::try_from(places.len() - 1).unwrap_or(u32::MAX)
        });
        last = Some((value, number));
        Some(number)
    };
    let codes = (0..).zip(values).map(&mut number).collect();
    (codes, places.into())
}

/// A column of attribute lists, taken apart.
struct Entries<'a> {
    lists: &'a ListArray,
    keys: &'a arrow::array::StringArray,
    strings: &'a arrow::array::StringArray,
    ints: &'a arrow::array::Int64Array,
    doubles: &'a arrow::array::Float64Array,
    bools: &'a BooleanArray,
    others: &'a arrow::array::BinaryArray,
}

impl<'a> Entries<'a> {
    fn try_new(lists: &'a ListArray) -> Result<Self> {
        let malformed = || DataFusionError::Internal("expected a list of attributes".into());
        let fields = lists.values().as_struct_opt().ok_or_else(malformed)?;
        let field = |name: &str| fields.column_by_name(name).ok_or_else(malformed);
        Ok(Self {
            lists,
            keys: field(names::ENTRY_KEY)?
                .as_string_opt()
                .ok_or_else(malformed)?,
            strings: field(names::ENTRY_STRING)?
                .as_string_opt()
                .ok_or_else(malformed)?,
            ints: field(names::ENTRY_INT)?
                .as_primitive_opt()
                .ok_or_else(malformed)?,
            doubles: field(names::ENTRY_DOUBLE)?
                .as_primitive_opt()
                .ok_or_else(malformed)?,
            bools: field(names::ENTRY_BOOL)?
                .as_boolean_opt()
                .ok_or_else(malformed)?,
            others: field(names::ENTRY_OTHER)?
                .as_binary_opt()
                .ok_or_else(malformed)?,
        })
    }

    fn of_row(&self, row: usize) -> std::ops::Range<usize> {
        let offsets = self.lists.offsets();
        let offset = |at: usize| usize::try_from(offsets[at]).unwrap_or_default();
        offset(row)..offset(row + 1)
    }

    /// The value of an entry, if it is one that queries see.
    fn value(&self, at: usize) -> Option<KeyValue> {
        if self.strings.is_valid(at) {
            return Some(KeyValue::String(self.strings.value(at).into()));
        }
        if self.ints.is_valid(at) {
            return Some(KeyValue::Int(self.ints.value(at)));
        }
        if self.doubles.is_valid(at) {
            return Some(KeyValue::float(self.doubles.value(at)));
        }
        if self.bools.is_valid(at) {
            return Some(KeyValue::Bool(self.bools.value(at)));
        }
        if self.others.is_null(at) {
            return None;
        }
        match value_from_bytes(self.others.value(at), &mut KeyInterner::default())? {
            AnyValue::Array(values) => of_array(values),
            _ => None,
        }
    }
}

/// An array of one element counts as that; others of one type are all shown alike.
fn of_array(mut values: Vec<AnyValue>) -> Option<KeyValue> {
    let kind = |value: &AnyValue| match value {
        AnyValue::String(_) => Some(Type::String),
        AnyValue::Int(_) => Some(Type::Int),
        AnyValue::Double(_) => Some(Type::Float),
        AnyValue::Bool(_) => Some(Type::Bool),
        _ => None,
    };
    let first = kind(values.first()?)?;
    if values.iter().any(|value| kind(value) != Some(first)) {
        return None;
    }
    if values.len() > 1 {
        return Some(KeyValue::array());
    }
    match values.pop()? {
        AnyValue::String(text) => Some(KeyValue::String(text.as_str().into())),
        AnyValue::Int(value) => Some(KeyValue::Int(value)),
        AnyValue::Double(value) => Some(KeyValue::float(value)),
        AnyValue::Bool(value) => Some(KeyValue::Bool(value)),
        _ => None,
    }
}
