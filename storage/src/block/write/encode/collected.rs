//! The attributes of all scopes, and the columns of those that get one.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array};

use super::arrive::{Arrived, Item};
use super::attributes::{Collect, Key, KeyCounts, ScopeAttributes};
use super::promote::{Promoted, promote};
use super::rows::Rows;
use super::spread::Units;
use super::text::{NO_CODE, TextCodes, text_array};
use crate::block::meta::{AttributeScope, ValueType};
use crate::error::StorageError;
use crate::model::Attribute;

/// The attributes of all scopes.
#[derive(Debug)]
pub(super) struct Collected<'a> {
    pub(super) resource: ScopeAttributes<'a>,
    pub(super) instrumentation: ScopeAttributes<'a>,
    pub(super) span: &'a ScopeAttributes<'a>,
    pub(super) event: ScopeAttributes<'a>,
    pub(super) link: ScopeAttributes<'a>,
    row_count: u64,
}

impl<'a> Collected<'a> {
    pub(super) fn new(all: &'a Rows, arrived: &'a Arrived<'a>) -> Self {
        let shared = |scope, lists: Vec<&'a [Attribute]>, of_row: &[u32]| {
            let mut rows = vec![0u64; lists.len()];
            of_row.iter().for_each(|unit| rows[*unit as usize] += 1);
            let mut out = ScopeAttributes::new(scope, Collect::Values);
            for (unit, (attributes, rows)) in (0u32..).zip(lists.into_iter().zip(rows)) {
                out.add_all(unit, attributes, rows);
            }
            out
        };
        let of_items = |scope, items: &'a [Item<'a>]| {
            let mut out = ScopeAttributes::new(scope, Collect::Counts);
            // Only neighbours must differ.
            for (unit, item) in (0..=u32::MAX >> 1).cycle().zip(items) {
                for (position, (key, value)) in item.attributes.iter().enumerate() {
                    out.add(unit, position, key.as_bytes(), value.clone(), 1);
                }
            }
            out
        };
        let resources = all.resources.iter().map(|one| &one.attributes[..]);
        let scopes = all.scopes.iter().map(|one| &one.attributes[..]);
        Self {
            resource: shared(
                AttributeScope::Resource,
                resources.collect(),
                &all.resource_of_row,
            ),
            instrumentation: shared(
                AttributeScope::Instrumentation,
                scopes.collect(),
                &all.scope_of_row,
            ),
            span: &arrived.attributes,
            event: of_items(AttributeScope::Event, &arrived.events),
            link: of_items(AttributeScope::Link, &arrived.links),
            row_count: all.rows.len() as u64,
        }
    }

    pub(super) fn promote(&self) -> Vec<Promoted> {
        promote(self.counts(), self.row_count)
    }

    /// How many rows have each key of each scope.
    pub(super) fn counts(&self) -> impl Iterator<Item = KeyCounts<'a>> {
        let scopes = [
            &self.resource,
            &self.instrumentation,
            self.span,
            &self.event,
            &self.link,
        ];
        scopes.into_iter().flat_map(ScopeAttributes::counts)
    }

    fn scope(&self, scope: AttributeScope) -> &ScopeAttributes<'a> {
        match scope {
            AttributeScope::Resource => &self.resource,
            AttributeScope::Instrumentation => &self.instrumentation,
            AttributeScope::Span => self.span,
            AttributeScope::Event => &self.event,
            AttributeScope::Link => &self.link,
        }
    }

    /// The array of an attribute column.
    pub(super) fn column(&self, promoted: &Promoted, all: &Rows) -> Result<ArrayRef, StorageError> {
        let attributes = self.scope(promoted.scope);
        let absent = Key::new("");
        let key = attributes.keys.iter().find(|key| key.key == promoted.key);
        let key = key.unwrap_or(&absent);
        let units = match promoted.scope {
            AttributeScope::Resource => Units::Shared {
                count: all.resources.len(),
                of_row: &all.resource_of_row,
            },
            AttributeScope::Instrumentation => Units::Shared {
                count: all.scopes.len(),
                of_row: &all.scope_of_row,
            },
            AttributeScope::Span | AttributeScope::Event | AttributeScope::Link => Units::Own {
                rows: &all.row_of_unit,
            },
        };
        Ok(match promoted.value_type {
            ValueType::Int => {
                let values = units.spread(&key.ints, 0);
                Arc::new(Int64Array::new(values.into(), units.validity(&key.ints)))
            }
            ValueType::Double => {
                let values = units.spread(&key.doubles, 0.0);
                let nulls = units.validity(&key.doubles);
                Arc::new(Float64Array::new(values.into(), nulls))
            }
            ValueType::Bool => {
                let values = units.spread(&key.bools, false);
                Arc::new(BooleanArray::new(values.into(), units.validity(&key.bools)))
            }
            ValueType::String
            | ValueType::StringArray
            | ValueType::IntArray
            | ValueType::DoubleArray
            | ValueType::BoolArray
            | ValueType::Other => text(&key.text_codes, units.spread(&key.texts, NO_CODE))?,
        })
    }
}

/// A column of texts by their codes.
fn text(texts: &TextCodes<'_>, codes: Vec<i32>) -> Result<ArrayRef, StorageError> {
    let value_count = codes.iter().filter(|code| **code != NO_CODE).count();
    if !texts.mostly_distinct(value_count) {
        return texts.column(codes);
    }
    let of_row = codes
        .into_iter()
        .map(|code| (code != NO_CODE).then(|| texts.text(code)));
    Ok(Arc::new(text_array(of_row, "bytes of one text attribute")?))
}
