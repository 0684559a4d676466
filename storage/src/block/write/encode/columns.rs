//! Arrays of a block, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, BinaryBuilder, BooleanArray, FixedSizeBinaryBuilder, Float64Array,
    Int32Array, Int64Array, ListBuilder, UInt32Array,
};
use arrow::datatypes::{DataType, Field};
use hashbrown::HashSet;

use super::arrive::{Arrived, Item, SpanRow};
use super::attributes::{Collect, Key, Rest, SCALARS, ScopeAttributes};
use super::entries::{EntryLists, list};
use super::items::{events, fixed_bytes, links};
use super::promote::{Promoted, promote};
use super::rows::{Rows, Trace};
use super::spread::Units;
use super::text::{NO_CODE, TextCodes, dictionary_of_units, offset, text_array};
use crate::block::meta::{AttributeScope, ValueType};
use crate::error::StorageError;
use crate::model::{AnyValue, Attribute, Resource};
use crate::schema::entry_item;

const SECOND_NS: i64 = 1_000_000_000;

/// The service of a resource, if it has one as text.
pub(super) fn service_name(resource: &Resource) -> Option<&str> {
    let first = resource
        .attributes
        .iter()
        .find(|attribute| &*attribute.key == "service.name")?;
    match &first.value {
        AnyValue::String(name) => Some(name),
        _ => None,
    }
}

/// Seconds, rounded up: the end of the left-open interval that the time falls into.
fn ceil_seconds(time_ns: i64) -> i64 {
    time_ns.div_euclid(SECOND_NS) + i64::from(time_ns.rem_euclid(SECOND_NS) != 0)
}

/// The columns that every block has, in schema order.
pub(super) fn fixed(all: &Rows, arrived: &Arrived<'_>) -> Result<Vec<ArrayRef>, StorageError> {
    type Make<'b> = Box<dyn Fn() -> Result<ArrayRef, StorageError> + Send + Sync + 'b>;
    let rows = &all.rows;
    let tree = &all.tree;
    let int64 = |f: fn(&SpanRow) -> i64| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int64Array::from_iter_values(rows.iter().map(f)))))
    };
    let int32 = |f: fn(&SpanRow) -> i32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int32Array::from_iter_values(rows.iter().map(f)))))
    };
    let uint32 = |f: fn(&SpanRow) -> u32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(UInt32Array::from_iter_values(rows.iter().map(f)))))
    };
    let resource = move |row: &SpanRow| &*all.resources[row.resource as usize];
    let scope = move |row: &SpanRow| &*all.scopes[row.scope as usize];
    let (of_resource, of_scope) = (&all.resource_of_row, &all.scope_of_row);
    let columns: Vec<Make<'_>> = vec![
        Box::new(|| fixed_bytes(16, rows.iter().map(|row| &row.trace_id.0[..]))),
        Box::new(|| fixed_bytes(8, rows.iter().map(|row| &row.span_id.0[..]))),
        Box::new(|| {
            let each = |trace: &Trace| 0..trace.row_count;
            Ok(Arc::new(UInt32Array::from_iter_values(
                all.traces.iter().flat_map(each),
            )))
        }),
        Box::new(|| {
            Ok(Arc::new(Int32Array::from_iter_values(
                tree.iter().map(|row| row.depth),
            )))
        }),
        Box::new(|| {
            Ok(Arc::new(UInt32Array::from_iter_values(
                tree.iter().map(|row| row.descendants),
            )))
        }),
        Box::new(|| literal_parents(all)),
        int64(|row| ceil_seconds(row.start_ns)),
        int64(|row| row.start_ns),
        int64(|row| row.duration_ns()),
        Box::new(|| {
            Ok(Arc::new(
                rows.iter().map(literal_end).collect::<Int64Array>(),
            ))
        }),
        Box::new(|| {
            let codes = rows.iter().map(|row| row.name);
            arrived.names.column(codes.collect())
        }),
        int32(|row| row.kind),
        int32(|row| row.status_code),
        Box::new(|| {
            let codes = rows.iter().map(|row| row.status_message);
            arrived.status_messages.column(codes.collect())
        }),
        Box::new(|| {
            Ok(Arc::new(Int32Array::from_iter_values(
                tree.iter().map(|row| row.child_count),
            )))
        }),
        Box::new(|| of_root(all, |row| arrived.names.text(rows[row as usize].name))),
        Box::new(|| {
            of_root(all, |row| {
                service_name(resource(&rows[row as usize])).unwrap_or_default()
            })
        }),
        Box::new(|| {
            let each = |trace: &Trace| repeat(trace.duration_ns, trace);
            Ok(Arc::new(Int64Array::from_iter_values(
                all.traces.iter().flat_map(each),
            )))
        }),
        Box::new(|| {
            let states = &arrived.trace_states;
            let has_state = |code: &i32| !states.text(*code).is_empty();
            let code = |row: &SpanRow| Some(row.trace_state).filter(has_state).unwrap_or(NO_CODE);
            states.column(rows.iter().map(code).collect())
        }),
        uint32(|row| row.flags),
        uint32(|row| row.dropped_attributes_count),
        uint32(|row| row.dropped_events_count),
        uint32(|row| row.dropped_links_count),
        Box::new(|| {
            dictionary_of_units(all.scopes.iter().map(|s| s.name.as_str()), of_scope, false)
        }),
        Box::new(|| {
            dictionary_of_units(
                all.scopes.iter().map(|s| s.version.as_str()),
                of_scope,
                false,
            )
        }),
        Box::new(|| {
            let urls = all
                .resources
                .iter()
                .map(|resource| resource.schema_url.as_str());
            dictionary_of_units(urls, of_resource, true)
        }),
        Box::new(|| {
            let counts = rows
                .iter()
                .map(|row| resource(row).dropped_attributes_count);
            Ok(Arc::new(UInt32Array::from_iter_values(counts)))
        }),
        Box::new(|| Ok(entity_refs(rows.iter().map(resource)))),
        Box::new(|| {
            let urls = all.scopes.iter().map(|scope| scope.schema_url.as_str());
            dictionary_of_units(urls, of_scope, true)
        }),
        Box::new(|| {
            let counts = rows.iter().map(|row| scope(row).dropped_attributes_count);
            Ok(Arc::new(UInt32Array::from_iter_values(counts)))
        }),
    ];
    use rayon::prelude::*;
    columns.par_iter().map(|make| make()).collect()
}

/// Parent ids of those that have no parent in the block.
fn literal_parents(all: &Rows) -> Result<ArrayRef, StorageError> {
    let mut out = FixedSizeBinaryBuilder::with_capacity(all.rows.len(), 8);
    for (row, tree) in all.rows.iter().zip(&all.tree) {
        // The id of a row that is the parent is the parent id: that is how it was found.
        match row.parent {
            Some(id) if tree.depth.abs() == 1 => out
                .append_value(id.0)
                .map_err(|error| StorageError::arrow("making the parent column", error))?,
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn literal_end(span: &SpanRow) -> Option<i64> {
    (span.start_ns.checked_add(span.duration_ns()) != Some(span.end_ns)).then_some(span.end_ns)
}

fn repeat<T: Copy>(value: T, trace: &Trace) -> impl Iterator<Item = T> + use<T> {
    std::iter::repeat_n(value, trace.row_count as usize)
}

/// A text of the root span for each row of its trace.
fn of_root<'a>(all: &'a Rows, text: impl Fn(u32) -> &'a str) -> Result<ArrayRef, StorageError> {
    let mut codes = TextCodes::default();
    let mut of_row = Vec::with_capacity(all.rows.len());
    for trace in &all.traces {
        let code = codes.code(trace.root.map_or("", &text));
        of_row.extend(repeat(code, trace));
    }
    codes.column(of_row)
}

fn entity_refs<'a>(resources: impl Iterator<Item = &'a Resource>) -> ArrayRef {
    let item = Field::new("item", DataType::Binary, false);
    let mut out = ListBuilder::new(BinaryBuilder::new()).with_field(item);
    for resource in resources {
        resource
            .entity_refs
            .iter()
            .for_each(|entity| out.values().append_value(entity));
        out.append(!resource.entity_refs.is_empty());
    }
    Arc::new(out.finish())
}

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
        promote(
            &[&self.resource, &self.instrumentation, self.span],
            self.row_count,
        )
    }

    pub(super) fn scopes(&self) -> [&ScopeAttributes<'a>; 5] {
        [
            &self.resource,
            &self.instrumentation,
            self.span,
            &self.event,
            &self.link,
        ]
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

/// The list columns, in schema order.
pub(super) fn lists(
    all: &Rows,
    arrived: &Arrived<'_>,
    collected: &Collected<'_>,
    promoted: &[Promoted],
) -> Result<Vec<ArrayRef>, StorageError> {
    let rows = &all.rows;
    let (shared, own) = rayon::join(
        || {
            let resource = residual(&collected.resource, promoted);
            let scope = residual(&collected.instrumentation, promoted);
            let resource = entry_lists(&resource, 0..super::row_number(all.resources.len()))?;
            let scope = entry_lists(&scope, 0..super::row_number(all.scopes.len()))?;
            Ok::<_, StorageError>([
                repeat_lists(resource, &all.resource_of_row)?,
                repeat_lists(scope, &all.scope_of_row)?,
            ])
        },
        || {
            let (span, (events, links)) = rayon::join(
                || {
                    let residual = residual(collected.span, promoted);
                    entry_lists(&residual, all.units.iter().copied())?.finish()
                },
                || {
                    rayon::join(
                        || events(rows, &arrived.events),
                        || links(rows, &arrived.links),
                    )
                },
            );
            Ok::<_, StorageError>([span?, events?, links?])
        },
    );
    Ok(shared?.into_iter().chain(own?).collect())
}

/// Repeats the lists of units for the rows that have them.
fn repeat_lists(units: EntryLists<'_>, unit_of_row: &[u32]) -> Result<ArrayRef, StorageError> {
    let sizes = units.sizes().to_vec();
    let units = units.finish()?;
    let units = units.as_list::<i32>();
    let mut entries: Vec<i32> = Vec::new();
    let mut offsets = Vec::with_capacity(unit_of_row.len() + 1);
    offsets.push(0);
    let mut bytes = 0;
    for unit in unit_of_row {
        let unit = *unit as usize;
        entries.extend(units.value_offsets()[unit]..units.value_offsets()[unit + 1]);
        offsets.push(offset(entries.len(), "attributes in lists")?);
        bytes += sizes[unit];
    }
    // The kernel does not expect more than 32-bit offsets can reach.
    offset(bytes, "bytes of attributes in lists")?;
    // Entry by entry and column by column: that takes a fifth of the time of list by list.
    let entries = arrow::compute::take(units.values(), &Int32Array::from(entries), None)
        .map_err(|error| StorageError::arrow("repeating attribute lists", error))?;
    list(entry_item(), offsets, entries)
}

/// Attributes of one scope that have no column, ordered by unit; those of a unit with equal keys are
/// in the order received.
fn residual<'a>(attributes: &ScopeAttributes<'a>, promoted: &[Promoted]) -> Vec<Rest<'a>> {
    let with_column: HashSet<(&str, ValueType)> = promoted
        .iter()
        .filter(|promoted| promoted.scope == attributes.scope)
        .map(|promoted| (promoted.key.as_str(), promoted.value_type))
        .collect();
    let mut out = Vec::new();
    // The first of equal keys stands in the list of its type, or is no scalar.
    for key in &attributes.keys {
        for value_type in SCALARS {
            if !with_column.contains(&(key.key, value_type)) {
                out.extend(
                    key.datums(value_type)
                        .into_iter()
                        .map(|(unit, value)| Rest {
                            unit,
                            key: key.key,
                            value,
                        }),
                );
            }
        }
    }
    out.extend_from_slice(&attributes.rest);
    out.sort_by_key(|rest| rest.unit);
    out
}

/// One list for each of the units, which come in any order.
fn entry_lists<'r>(
    residual: &'r [Rest<'r>],
    units: impl Iterator<Item = u32>,
) -> Result<EntryLists<'r>, StorageError> {
    let mut out = EntryLists::new();
    for unit in units {
        if !residual.is_empty() {
            let from = residual.partition_point(|rest| rest.unit < unit);
            for rest in residual[from..].iter().take_while(|rest| rest.unit == unit) {
                out.push(rest.key, &rest.value);
            }
        }
        out.end_list()?;
    }
    Ok(out)
}
