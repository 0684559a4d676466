//! Counts spans by the attributes in their lists.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::error::{DataFusionError, Result};
use hashbrown::HashMap;
use storage::block::{Entries, EntryValue};
use storage::model::AnyValue;

use super::columns::{ResidualColumn, canonical, is_service_name};
use super::places::Places;
use super::tally::Tally;
use super::values::SeenValue;
use crate::batch::named;
use crate::key::KeyValue;
use crate::types::Type;

/// Counts the spans of batches by the attributes of one list column.
#[derive(Debug)]
pub(crate) struct ResidualCounter {
    column: Arc<ResidualColumn>,
    /// Keys that have been met, with the place of the attribute in the tally; none for a key that is
    /// compared in another way.
    attributes: HashMap<String, Option<usize>>,
}

impl ResidualCounter {
    /// Counts nothing yet.
    pub(crate) fn new(column: Arc<ResidualColumn>) -> Self {
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
        let column = Arc::clone(&self.column);
        let mut shadows: HashMap<&str, Vec<&ArrayRef>> = HashMap::new();
        for (key, columns) in &column.shadows {
            let columns = columns.iter().map(|name| named(batch, name));
            shadows.insert(key, columns.collect::<Result<_>>()?);
        }
        let is_shadowed = |key: &str, row| {
            let columns = shadows.get(key);
            columns.is_some_and(|columns| columns.iter().any(|column| column.is_valid(row)))
        };
        let lists = named(batch, column.name)?;
        self.add_lists(lists, is_shadowed, places, tally)
    }

    /// Counts rows by their lists. Of some keys a row has the value in a column: there it is
    /// shadowed.
    ///
    /// # Errors
    /// If these are no lists of attributes.
    pub(crate) fn add_lists(
        &mut self,
        lists: &ArrayRef,
        is_shadowed: impl Fn(&str, usize) -> bool,
        places: &Places,
        tally: &mut Tally,
    ) -> Result<()> {
        let malformed = || DataFusionError::Internal("expected a list of attributes".into());
        let entries = Entries::new(lists).ok_or_else(malformed)?;
        if entries.is_empty() {
            return Ok(());
        }
        for row in places.kept().ones() {
            let place = places.of_row(row);
            let mut before: Option<&str> = None;
            for at in entries.of_row(row) {
                let key = entries.key(at);
                // Of a key that stands twice the first counts, which may be in a column.
                if before.replace(key) == Some(key) || is_shadowed(key, row) {
                    continue;
                }
                let Some(attribute) = self.attribute(key, tally) else {
                    continue;
                };
                with_value(entries.value(at), |value| {
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

/// Hands over the value of an entry, if it is one that queries see.
fn with_value(value: EntryValue<'_>, each: impl FnOnce(SeenValue<'_>)) {
    match value {
        EntryValue::String(text) => each(SeenValue::Text(text)),
        EntryValue::Int(number) => each(SeenValue::Other(KeyValue::Int(number))),
        EntryValue::Double(number) => each(SeenValue::Other(KeyValue::float(number))),
        EntryValue::Bool(truth) => each(SeenValue::Other(KeyValue::Bool(truth))),
        EntryValue::Other(_) => {
            if let Some(elements) = value.elements() {
                of_array(&elements, each);
            }
        }
    }
}

/// An array of one element counts as that; others of one type are all shown alike.
fn of_array(values: &[AnyValue], each: impl FnOnce(SeenValue<'_>)) {
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
        [AnyValue::String(text)] => each(SeenValue::Text(text)),
        [AnyValue::Int(value)] => each(SeenValue::Other(KeyValue::Int(*value))),
        [AnyValue::Double(value)] => each(SeenValue::Other(KeyValue::float(*value))),
        [AnyValue::Bool(value)] => each(SeenValue::Other(KeyValue::Bool(*value))),
        values if values.iter().all(|value| kind(value) == Some(first)) => each(SeenValue::array()),
        _ => {}
    }
}
