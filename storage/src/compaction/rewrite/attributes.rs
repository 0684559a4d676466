//! Attributes that move between a column of their own and the lists of those without one.
//!
//! Of the attributes of a row with the same key only the first is in a column; all others are in the list,
//! in the order in which they came. So an entry of a list is the first of its key if no entry before it
//! has that key, and no column of that key has a value in the row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch,
    StringBuilder,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use hashbrown::{HashMap, HashSet};

use crate::block::meta::{AttributeScope, BlockMeta, ValueType};
use crate::block::{AttributeCounts, Entries, EntryBuilder, EntryValue, Promoted};
use crate::error::StorageError;
use crate::schema::names;

/// Finds the attributes of a key and a type that have a column now, and had none.
#[derive(Debug)]
pub(super) struct Lookup {
    scope: AttributeScope,
    key: Arc<str>,
    value_type: ValueType,
    /// The columns of other types of the key.
    others: Vec<Arc<str>>,
}

impl Lookup {
    pub(super) fn new(
        scope: AttributeScope,
        key: &Arc<str>,
        value_type: ValueType,
        others: Vec<Arc<str>>,
    ) -> Self {
        Self {
            scope,
            key: Arc::clone(key),
            value_type,
            others,
        }
    }

    pub(super) fn needs(&self, column: &str) -> bool {
        names::residual(self.scope) == Some(column)
            || self.others.iter().any(|other| &**other == column)
    }

    /// The column, texts without a dictionary.
    ///
    /// # Errors
    /// If the batch does not have the columns that it needs.
    pub(super) fn array(
        &self,
        batch: &RecordBatch,
        object: &str,
    ) -> Result<ArrayRef, StorageError> {
        let lists = residual_of(batch, self.scope, object)?;
        let lists =
            Entries::new(lists).ok_or_else(|| StorageError::malformed(object, &self.key))?;
        let others: Vec<&ArrayRef> = self
            .others
            .iter()
            .map(|name| column_of(batch, name, object))
            .collect::<Result<_, _>>()?;
        let first = |row: usize| {
            if others.iter().any(|column| column.is_valid(row)) {
                return None;
            }
            let mut entries = lists.of_row(row);
            let at = entries.find(|at| lists.key(*at) == &*self.key)?;
            Some(lists.value(at))
        };
        let rows = 0..batch.num_rows();
        Ok(match self.value_type {
            ValueType::Int => {
                let mut out = Int64Builder::with_capacity(rows.len());
                rows.for_each(|row| match first(row) {
                    Some(EntryValue::Int(value)) => out.append_value(value),
                    _ => out.append_null(),
                });
                Arc::new(out.finish())
            }
            ValueType::Double => {
                let mut out = Float64Builder::with_capacity(rows.len());
                rows.for_each(|row| match first(row) {
                    Some(EntryValue::Double(value)) => out.append_value(value),
                    _ => out.append_null(),
                });
                Arc::new(out.finish())
            }
            ValueType::Bool => {
                let mut out = BooleanBuilder::with_capacity(rows.len());
                rows.for_each(|row| match first(row) {
                    Some(EntryValue::Bool(value)) => out.append_value(value),
                    _ => out.append_null(),
                });
                Arc::new(out.finish())
            }
            // Nothing else has a column.
            ValueType::String
            | ValueType::StringArray
            | ValueType::IntArray
            | ValueType::DoubleArray
            | ValueType::BoolArray
            | ValueType::Other => {
                let mut out = StringBuilder::new();
                rows.for_each(|row| match first(row) {
                    Some(EntryValue::String(value)) => out.append_value(value),
                    _ => out.append_null(),
                });
                Arc::new(out.finish())
            }
        })
    }
}

/// The attributes of a scope that have no column in what is written.
#[derive(Debug)]
pub(super) struct Remaining {
    scope: AttributeScope,
    /// Columns whose values are needed.
    columns: Vec<KeyColumn>,
    /// Keys that have a column in the source, and whether those that stand first in their row are in lists,
    /// too, since another type has none.
    with_column: HashMap<Arc<str>, bool>,
    /// What the source may have in lists, and has a column now.
    leaves: HashSet<(Arc<str>, ValueType)>,
}

/// A column of a source.
#[derive(Debug)]
struct KeyColumn {
    key: Arc<str>,
    name: Arc<str>,
    /// Whether what it holds has no column any more.
    joins: bool,
}

impl Remaining {
    pub(super) fn new(meta: &BlockMeta, scope: AttributeScope, promoted: &[Promoted]) -> Self {
        let promoted: HashSet<(&str, ValueType)> = promoted
            .iter()
            .filter(|promoted| promoted.scope == scope)
            .map(|promoted| (promoted.key.as_str(), promoted.value_type))
            .collect();
        let mut columns = Vec::new();
        let mut with_column = HashMap::new();
        let mut leaves = HashSet::new();
        for known in meta.attributes.iter().filter(|known| known.scope == scope) {
            let has_column = known.types.iter().any(|of_type| of_type.column.is_some());
            let is_mixed = has_column && known.types.iter().any(|of_type| of_type.column.is_none());
            for of_type in &known.types {
                let stays = promoted.contains(&(&*known.key, of_type.value_type));
                match &of_type.column {
                    Some(name) if is_mixed || !stays => columns.push(KeyColumn {
                        key: Arc::clone(&known.key),
                        name: Arc::clone(name),
                        joins: !stays,
                    }),
                    None if stays => {
                        leaves.insert((Arc::clone(&known.key), of_type.value_type));
                    }
                    Some(_) | None => {}
                }
            }
            if has_column {
                with_column.insert(Arc::clone(&known.key), is_mixed);
            }
        }
        if !meta.attributes_complete {
            let unknown = promoted
                .iter()
                .filter(|(key, _)| meta.attribute(scope, key).is_none());
            leaves.extend(unknown.map(|(key, value_type)| (Arc::from(*key), *value_type)));
        }
        Self {
            scope,
            columns,
            with_column,
            leaves,
        }
    }

    pub(super) fn needs(&self, column: &str) -> bool {
        names::residual(self.scope) == Some(column)
            || self.columns.iter().any(|of_key| &*of_key.name == column)
    }

    /// The lists; counts the first of each key.
    ///
    /// # Errors
    /// If the batch does not have the columns that it needs.
    pub(super) fn array(
        &self,
        batch: &RecordBatch,
        object: &str,
        counts: &mut AttributeCounts,
    ) -> Result<ArrayRef, StorageError> {
        let array = residual_of(batch, self.scope, object)?;
        let malformed = || StorageError::malformed(object, "lists of attributes");
        let lists = Entries::new(array).ok_or_else(malformed)?;
        if self.columns.is_empty() && (self.leaves.is_empty() || lists.is_empty()) {
            // No key is both here and in a column, unless it stands there twice.
            let is_later = |at: usize, _| self.with_column.contains_key(lists.key(at));
            counts.add_lists(self.scope, &lists, 0..batch.num_rows(), object, is_later)?;
            return Ok(Arc::clone(array));
        }
        let columns: Vec<(&KeyColumn, Values<'_>)> = self
            .columns
            .iter()
            .map(|of_key| {
                let array = column_of(batch, &of_key.name, object)?;
                Ok((of_key, Values::new(array).ok_or_else(malformed)?))
            })
            .collect::<Result<_, StorageError>>()?;
        let mut out = EntryBuilder::new();
        let mut is_first = Vec::new();
        let mut row_entries: Vec<(&str, EntryValue<'_>, bool)> = Vec::new();
        for row in 0..batch.num_rows() {
            let in_column = |key: &str| {
                let mut of_key = columns.iter().filter(|(of_key, _)| &*of_key.key == key);
                of_key.any(|(_, values)| values.is_valid(row))
            };
            for (of_key, values) in columns.iter().filter(|(of_key, _)| of_key.joins) {
                row_entries.extend(values.get(row).map(|value| (&*of_key.key, value, true)));
            }
            let mut last = None;
            for at in lists.of_row(row) {
                let (key, value) = (lists.key(at), lists.value(at));
                let is_repeated = last.replace(key) == Some(key);
                let first = !is_repeated
                    && match self.with_column.get(key) {
                        None => true,
                        Some(is_mixed) => *is_mixed && !in_column(key),
                    };
                if !(first && self.has_left(key, value)) {
                    row_entries.push((key, value, first));
                }
            }
            row_entries.sort_by_key(|(key, ..)| *key);
            for (key, value, first) in row_entries.drain(..) {
                out.append(key, value)?;
                is_first.push(first);
            }
            out.end_list()?;
        }
        let out = out.finish()?;
        let lists = Entries::new(&out).ok_or_else(malformed)?;
        let is_later = |at: usize, _| !is_first.get(at).copied().unwrap_or_default();
        counts.add_lists(self.scope, &lists, 0..batch.num_rows(), object, is_later)?;
        Ok(out)
    }

    /// Whether an entry that is the first of its key has a column now.
    fn has_left(&self, key: &str, value: EntryValue<'_>) -> bool {
        !self.leaves.is_empty()
            && scalar(value).is_some_and(|value_type| {
                let mut leaves = self.leaves.iter();
                leaves.any(|(left, of_type)| &**left == key && *of_type == value_type)
            })
    }
}

/// The type of a value that can have a column.
fn scalar(value: EntryValue<'_>) -> Option<ValueType> {
    match value {
        EntryValue::String(_) => Some(ValueType::String),
        EntryValue::Int(_) => Some(ValueType::Int),
        EntryValue::Double(_) => Some(ValueType::Double),
        EntryValue::Bool(_) => Some(ValueType::Bool),
        EntryValue::Other(_) => None,
    }
}

/// The values of an attribute column.
#[derive(Debug)]
struct Values<'a>(&'a ArrayRef);

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        use arrow::datatypes::DataType::{Boolean, Dictionary, Float64, Int64, Utf8};
        let is_known = matches!(
            array.data_type(),
            Boolean | Dictionary(..) | Float64 | Int64 | Utf8
        );
        is_known.then_some(Self(array))
    }

    fn is_valid(&self, row: usize) -> bool {
        self.0.is_valid(row)
    }

    fn get(&self, row: usize) -> Option<EntryValue<'a>> {
        if self.0.is_null(row) {
            return None;
        }
        let array = self.0;
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Some(EntryValue::String(texts.value(row)));
        }
        if let Some(texts) = array.as_dictionary_opt::<Int32Type>() {
            let code = usize::try_from(texts.keys().value(row)).ok()?;
            let texts = texts.values().as_string_opt::<i32>()?;
            return (code < texts.len()).then(|| EntryValue::String(texts.value(code)));
        }
        if let Some(numbers) = array.as_primitive_opt::<Int64Type>() {
            return Some(EntryValue::Int(numbers.value(row)));
        }
        if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            return Some(EntryValue::Double(numbers.value(row)));
        }
        let truths = array.as_boolean_opt()?;
        Some(EntryValue::Bool(truths.value(row)))
    }
}

fn residual_of<'a>(
    batch: &'a RecordBatch,
    scope: AttributeScope,
    object: &str,
) -> Result<&'a ArrayRef, StorageError> {
    // Events and links have their attributes inside, and none of them ever has a column.
    column_of(batch, names::residual(scope).unwrap_or_default(), object)
}

fn column_of<'a>(
    batch: &'a RecordBatch,
    name: &str,
    object: &str,
) -> Result<&'a ArrayRef, StorageError> {
    let column = batch.column_by_name(name);
    column.ok_or_else(|| StorageError::malformed(object, name))
}
