//! Counts spans by the attributes in their lists.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray,
};
use datafusion::error::{DataFusionError, Result};
use hashbrown::HashMap;
use storage::model::AnyValue;
use storage::otlp::{KeyInterner, value_from_bytes};
use storage::schema::names;

use super::columns::{ResidualColumn, canonical, is_service_name};
use super::places::Places;
use super::tally::{Found, Tally};
use crate::batch::named;
use crate::lower::value::Type;
use crate::partial::KeyValue;

/// Counts the spans of batches by the attributes of one list column.
#[derive(Debug)]
pub(super) struct ResidualCounter<'a> {
    column: &'a ResidualColumn,
    /// Keys that have been met, with the place of the attribute in the tally; none for a key that is
    /// compared in another way.
    attributes: HashMap<String, Option<usize>>,
}

impl<'a> ResidualCounter<'a> {
    pub(super) fn new(column: &'a ResidualColumn) -> Self {
        Self {
            column,
            attributes: HashMap::new(),
        }
    }

    /// Counts the rows of a batch.
    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let lists = named(batch, self.column.name)?.as_list::<i32>();
        let entries = Entries::try_new(lists)?;
        let mut shadows: HashMap<&str, Vec<&ArrayRef>> = HashMap::new();
        for (key, columns) in &self.column.shadows {
            let columns = columns.iter().map(|name| named(batch, name));
            shadows.insert(key, columns.collect::<Result<_>>()?);
        }
        for (row, &place) in places.of_row.iter().enumerate() {
            let mut before: Option<&str> = None;
            for at in entries.of_row(row) {
                let key = entries.keys.value(at);
                // Of a key that stands twice the first counts, which may be in a column.
                let is_repeated = before.replace(key) == Some(key)
                    || shadows
                        .get(key)
                        .is_some_and(|columns| columns.iter().any(|c| c.is_valid(row)));
                if is_repeated {
                    continue;
                }
                let Some(attribute) = self.attribute(key, tally) else {
                    continue;
                };
                entries.with_value(at, |value| {
                    tally.values(attribute).add(value, &[(place, 1)]);
                });
            }
        }
        Ok(())
    }

    fn attribute(&mut self, key: &str, tally: &mut Tally) -> Option<usize> {
        let scope = self.column.scope;
        let attributes = self.attributes.entry_ref(key);
        *attributes.or_insert_with(|| {
            let label = (!is_service_name(scope, key)).then(|| canonical(scope, key))?;
            Some(tally.attribute(&label))
        })
    }
}

/// A column of attribute lists, taken apart.
struct Entries<'a> {
    lists: &'a ListArray,
    keys: &'a StringArray,
    strings: &'a StringArray,
    ints: &'a Int64Array,
    doubles: &'a Float64Array,
    bools: &'a BooleanArray,
    others: &'a BinaryArray,
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

    fn of_row(&self, row: usize) -> Range<usize> {
        let offsets = self.lists.offsets();
        let offset = |at: usize| usize::try_from(offsets[at]).unwrap_or_default();
        offset(row)..offset(row + 1)
    }

    /// Hands over the value of an entry, if it is one that queries see.
    fn with_value(&self, at: usize, each: impl FnOnce(Found<'_>)) {
        if self.strings.is_valid(at) {
            each(Found::Text(self.strings.value(at)));
        } else if self.ints.is_valid(at) {
            each(Found::Other(KeyValue::Int(self.ints.value(at))));
        } else if self.doubles.is_valid(at) {
            each(Found::Other(KeyValue::float(self.doubles.value(at))));
        } else if self.bools.is_valid(at) {
            each(Found::Other(KeyValue::Bool(self.bools.value(at))));
        } else if self.others.is_valid(at)
            && let Some(AnyValue::Array(values)) =
                value_from_bytes(self.others.value(at), &mut KeyInterner::default())
        {
            of_array(&values, each);
        }
    }
}

/// An array of one element counts as that; others of one type are all shown alike.
fn of_array(values: &[AnyValue], each: impl FnOnce(Found<'_>)) {
    let kind = |value: &AnyValue| match value {
        AnyValue::String(_) => Some(Type::String),
        AnyValue::Int(_) => Some(Type::Int),
        AnyValue::Double(_) => Some(Type::Float),
        AnyValue::Bool(_) => Some(Type::Bool),
        _ => None,
    };
    let Some(first) = values.first().and_then(kind) else {
        return;
    };
    match values {
        [AnyValue::String(text)] => each(Found::Text(text)),
        [AnyValue::Int(value)] => each(Found::Other(KeyValue::Int(*value))),
        [AnyValue::Double(value)] => each(Found::Other(KeyValue::float(*value))),
        [AnyValue::Bool(value)] => each(Found::Other(KeyValue::Bool(*value))),
        values if values.iter().all(|value| kind(value) == Some(first)) => each(Found::array()),
        _ => {}
    }
}
