//! Arrays of a block, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, FixedSizeBinaryBuilder, Float64Array, Int32Array,
    Int64Array, ListBuilder, UInt32Array,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field};
use hashbrown::HashSet;

use super::attributes::{Collect, ScopeAttributes, Value};
use super::entries::EntryLists;
use super::items::{events, fixed_bytes, links};
use super::promote::{Promoted, promote};
use super::rows::{Row, Rows, Trace};
use super::text::{
    TextCodes, dictionary, dictionary_of_units, dictionary_or_null, nulls, offset, text_array,
};
use crate::block::meta::{AttributeScope, ValueType};
use crate::error::StorageError;
use crate::model::{AnyValue, Attribute, Resource};

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
pub(super) fn fixed(all: &Rows<'_>) -> Result<Vec<ArrayRef>, StorageError> {
    type Make<'b> = Box<dyn Fn() -> Result<ArrayRef, StorageError> + Send + Sync + 'b>;
    let rows = &all.rows;
    let tree = &all.tree;
    let int64 = |f: fn(&Row<'_>) -> i64| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int64Array::from_iter_values(rows.iter().map(f)))))
    };
    let int32 = |f: fn(&Row<'_>) -> i32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int32Array::from_iter_values(rows.iter().map(f)))))
    };
    let uint32 = |f: fn(&Row<'_>) -> u32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(UInt32Array::from_iter_values(rows.iter().map(f)))))
    };
    let nested = |f: fn(&super::tree::TreeRow) -> i32| -> Make<'_> {
        Box::new(move || Ok(Arc::new(Int32Array::from_iter_values(tree.iter().map(f)))))
    };
    let resource = move |row: &Row<'_>| all.resources[row.resource as usize];
    let scope = move |row: &Row<'_>| all.scopes[row.scope as usize];
    let of_resource = rows.iter().map(|row| row.resource);
    let of_scope = rows.iter().map(|row| row.scope);
    let columns: Vec<Make<'_>> = vec![
        Box::new(|| fixed_bytes(16, rows.iter().map(|row| &row.span.trace_id.0[..]))),
        Box::new(|| fixed_bytes(8, rows.iter().map(|row| &row.span.span_id.0[..]))),
        Box::new(|| {
            Ok(Arc::new(UInt32Array::from_iter_values(
                tree.iter().map(|row| row.parent_row),
            )))
        }),
        Box::new(|| literal_parents(all)),
        int64(|row| ceil_seconds(row.span.start_ns)),
        int64(|row| row.span.start_ns),
        int64(|row| row.span.duration_ns()),
        Box::new(|| {
            Ok(Arc::new(
                rows.iter().map(literal_end).collect::<Int64Array>(),
            ))
        }),
        Box::new(|| dictionary(rows.iter().map(|row| row.span.name.as_str()))),
        int32(|row| row.span.kind),
        int32(|row| row.span.status_code),
        Box::new(|| dictionary(rows.iter().map(|row| row.span.status_message.as_str()))),
        nested(|row| row.left),
        nested(|row| row.right),
        nested(|row| row.parent),
        nested(|row| row.child_count),
        Box::new(|| of_root(all, |row| rows[row as usize].span.name.as_str())),
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
        Box::new(|| dictionary_or_null(rows.iter().map(|row| row.span.trace_state.as_str()))),
        uint32(|row| row.span.flags),
        uint32(|row| row.span.dropped_attributes_count),
        uint32(|row| row.span.dropped_events_count),
        uint32(|row| row.span.dropped_links_count),
        Box::new(|| {
            dictionary_of_units(
                all.scopes.iter().map(|s| s.name.as_str()),
                of_scope.clone(),
                false,
            )
        }),
        Box::new(|| {
            dictionary_of_units(
                all.scopes.iter().map(|s| s.version.as_str()),
                of_scope.clone(),
                false,
            )
        }),
        Box::new(|| {
            let urls = all
                .resources
                .iter()
                .map(|resource| resource.schema_url.as_str());
            dictionary_of_units(urls, of_resource.clone(), true)
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
            dictionary_of_units(urls, of_scope.clone(), true)
        }),
        Box::new(|| {
            let counts = rows.iter().map(|row| scope(row).dropped_attributes_count);
            Ok(Arc::new(UInt32Array::from_iter_values(counts)))
        }),
    ];
    use rayon::prelude::*;
    columns.par_iter().map(|make| make()).collect()
}

/// Parent ids that `parent_row` does not lead to.
fn literal_parents(all: &Rows<'_>) -> Result<ArrayRef, StorageError> {
    let mut out = FixedSizeBinaryBuilder::with_capacity(all.rows.len(), 8);
    for (row, tree) in all.rows.iter().zip(&all.tree) {
        // Where there is a parent row, its id is the parent id: that is how it was found.
        match row.span.parent_span_id {
            Some(id) if tree.parent_row == 0 => out
                .append_value(id.0)
                .map_err(|error| StorageError::arrow("making the parent column", error))?,
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn literal_end(row: &Row<'_>) -> Option<i64> {
    let span = row.span;
    (span.start_ns.checked_add(span.duration_ns()) != Some(span.end_ns)).then_some(span.end_ns)
}

fn repeat<T: Copy>(value: T, trace: &Trace) -> impl Iterator<Item = T> + use<T> {
    std::iter::repeat_n(value, trace.row_count as usize)
}

/// A text of the root span for each row of its trace.
fn of_root<'a>(all: &Rows<'a>, text: impl Fn(u32) -> &'a str) -> Result<ArrayRef, StorageError> {
    let each = |trace: &Trace| repeat(trace.root.map_or("", &text), trace);
    dictionary(all.traces.iter().flat_map(each))
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
    pub(super) span: ScopeAttributes<'a>,
    pub(super) event: ScopeAttributes<'a>,
    pub(super) link: ScopeAttributes<'a>,
    row_count: u64,
}

impl<'a> Collected<'a> {
    pub(super) fn new(all: &Rows<'a>) -> Self {
        let shared = |scope, lists: Vec<&'a [Attribute]>, index: fn(&Row<'_>) -> u32| {
            let mut rows = vec![0u64; lists.len()];
            all.rows
                .iter()
                .for_each(|row| rows[index(row) as usize] += 1);
            let mut out = ScopeAttributes::new(scope, Collect::Values);
            for (unit, (attributes, rows)) in (0u32..).zip(lists.into_iter().zip(rows)) {
                out.add(unit, attributes, rows);
            }
            out
        };
        let mut span = ScopeAttributes::new(AttributeScope::Span, Collect::Values);
        let mut event = ScopeAttributes::new(AttributeScope::Event, Collect::Counts);
        let mut link = ScopeAttributes::new(AttributeScope::Link, Collect::Counts);
        let resources = all
            .resources
            .iter()
            .map(|resource| &resource.attributes[..])
            .collect();
        let scopes = all
            .scopes
            .iter()
            .map(|scope| &scope.attributes[..])
            .collect();
        let (mut events, mut links) = (0u32, 0u32);
        for (row, number) in all.rows.iter().zip(0u32..) {
            span.add(number, &row.span.attributes, 1);
            for item in &row.span.events {
                event.add(events, &item.attributes, 1);
                // Only neighbours must differ.
                events = events.wrapping_add(1) & (u32::MAX >> 1);
            }
            for item in &row.span.links {
                link.add(links, &item.attributes, 1);
                links = links.wrapping_add(1) & (u32::MAX >> 1);
            }
        }
        Self {
            resource: shared(AttributeScope::Resource, resources, |row| row.resource),
            instrumentation: shared(AttributeScope::Instrumentation, scopes, |row| row.scope),
            span,
            event,
            link,
            row_count: all.rows.len() as u64,
        }
    }

    pub(super) fn promote(&self) -> Vec<Promoted> {
        promote(
            &[&self.resource, &self.instrumentation, &self.span],
            self.row_count,
        )
    }

    pub(super) fn scopes(&self) -> [&ScopeAttributes<'a>; 5] {
        [
            &self.resource,
            &self.instrumentation,
            &self.span,
            &self.event,
            &self.link,
        ]
    }

    fn scope(&self, scope: AttributeScope) -> &ScopeAttributes<'a> {
        match scope {
            AttributeScope::Resource => &self.resource,
            AttributeScope::Instrumentation => &self.instrumentation,
            AttributeScope::Span => &self.span,
            AttributeScope::Event => &self.event,
            AttributeScope::Link => &self.link,
        }
    }

    /// The array of an attribute column.
    pub(super) fn column(
        &self,
        promoted: &Promoted,
        all: &Rows<'a>,
    ) -> Result<ArrayRef, StorageError> {
        let attributes = self.scope(promoted.scope);
        let key = attributes.keys.iter().find(|key| key.key == promoted.key);
        let values = key
            .and_then(|key| key.values.get(promoted.value_type as usize))
            .map_or(&[][..], Vec::as_slice);
        let rows = &all.rows;
        match promoted.scope {
            AttributeScope::Resource => typed(
                values,
                promoted.value_type,
                rows.iter().map(|row| row.resource),
                all.resources.len(),
            ),
            AttributeScope::Instrumentation => typed(
                values,
                promoted.value_type,
                rows.iter().map(|row| row.scope),
                all.scopes.len(),
            ),
            AttributeScope::Span | AttributeScope::Event | AttributeScope::Link => {
                let numbers = 0..super::row_number(rows.len());
                typed(values, promoted.value_type, numbers, rows.len())
            }
        }
    }
}

/// Spreads the values of units over the rows that have these units.
fn typed(
    values: &[Value<'_>],
    value_type: ValueType,
    unit_of_row: impl ExactSizeIterator<Item = u32> + Clone,
    unit_count: usize,
) -> Result<ArrayRef, StorageError> {
    let mut valid = vec![false; unit_count];
    values
        .iter()
        .for_each(|value| valid[value.unit as usize] = true);
    let row_valid = || {
        nulls(
            unit_of_row
                .clone()
                .map(|unit| valid[unit as usize])
                .collect(),
        )
    };
    macro_rules! primitive {
        ($variant:path, $zero:expr, $finish:expr) => {{
            let mut units = vec![$zero; unit_count];
            for value in values {
                if let $variant(content) = &value.attribute.value {
                    units[value.unit as usize] = *content;
                }
            }
            $finish(unit_of_row.clone().map(|unit| units[unit as usize]))
        }};
    }
    Ok(match value_type {
        ValueType::Int => primitive!(AnyValue::Int, 0i64, |rows| {
            Arc::new(Int64Array::new(ScalarBuffer::from_iter(rows), row_valid())) as ArrayRef
        }),
        ValueType::Double => primitive!(AnyValue::Double, 0f64, |rows| {
            Arc::new(Float64Array::new(
                ScalarBuffer::from_iter(rows),
                row_valid(),
            )) as ArrayRef
        }),
        ValueType::Bool => primitive!(AnyValue::Bool, false, |rows| {
            Arc::new(BooleanArray::new(
                FromIterator::from_iter(rows),
                row_valid(),
            )) as ArrayRef
        }),
        ValueType::String
        | ValueType::StringArray
        | ValueType::IntArray
        | ValueType::DoubleArray
        | ValueType::BoolArray
        | ValueType::Other => text(values, unit_of_row.clone(), unit_count, row_valid())?,
    })
}

fn text(
    values: &[Value<'_>],
    unit_of_row: impl ExactSizeIterator<Item = u32> + Clone,
    unit_count: usize,
    valid: Option<arrow::buffer::NullBuffer>,
) -> Result<ArrayRef, StorageError> {
    fn content<'a>(value: &Value<'a>) -> &'a str {
        match &value.attribute.value {
            AnyValue::String(text) => text,
            _ => "",
        }
    }
    let mut codes = TextCodes::default();
    let mut units = vec![0i32; unit_count];
    let mut plain = false;
    for (position, value) in values.iter().enumerate() {
        units[value.unit as usize] = codes.code(content(value));
        // Early enough to save the memory of a dictionary that would not be used, late enough to
        // have seen a fair part of the values.
        if position % 65_536 == 65_535 && codes.value_count() > values.len() / 4 {
            plain = true;
            break;
        }
    }
    let row_count = unit_of_row.clone().len();
    let value_count = row_count
        - valid
            .as_ref()
            .map_or(0, arrow::buffer::NullBuffer::null_count);
    if !plain && !codes.mostly_distinct(value_count) {
        let keys = unit_of_row.map(|unit| units[unit as usize]).collect();
        return codes.dictionary(keys, valid);
    }
    let mut units: Vec<Option<&str>> = vec![None; unit_count];
    values
        .iter()
        .for_each(|value| units[value.unit as usize] = Some(content(value)));
    let texts = unit_of_row.map(|unit| units[unit as usize]);
    Ok(Arc::new(text_array(texts, "bytes of one text attribute")?))
}

/// The list columns, in schema order.
pub(super) fn lists(
    all: &Rows<'_>,
    collected: &Collected<'_>,
    promoted: &[Promoted],
) -> Result<Vec<ArrayRef>, StorageError> {
    let rows = &all.rows;
    let (shared, own) = rayon::join(
        || {
            let resource = residual(&collected.resource, promoted, all.resources.len())?;
            let scope = residual(&collected.instrumentation, promoted, all.scopes.len())?;
            Ok::<_, StorageError>([
                spread(resource, rows.iter().map(|row| row.resource))?,
                spread(scope, rows.iter().map(|row| row.scope))?,
            ])
        },
        || {
            let (span, (events, links)) = rayon::join(
                || residual(&collected.span, promoted, rows.len()),
                || rayon::join(|| events(rows), || links(rows)),
            );
            Ok::<_, StorageError>([span?.finish()?, events?, links?])
        },
    );
    Ok(shared?.into_iter().chain(own?).collect())
}

/// Repeats the lists of units for the rows that have them.
fn spread(
    units: EntryLists<'_>,
    unit_of_row: impl Iterator<Item = u32> + Clone,
) -> Result<ArrayRef, StorageError> {
    let sizes = units.sizes().to_vec();
    let (mut entries, mut bytes) = (0usize, 0usize);
    for unit in unit_of_row.clone() {
        let (more_entries, more_bytes) = sizes[unit as usize];
        entries += more_entries;
        bytes += more_bytes;
    }
    // The kernel does not expect more than 32-bit offsets can reach.
    offset(entries, "attributes in lists")?;
    offset(bytes, "bytes of attributes in lists")?;
    let units = units.finish()?;
    let rows = UInt32Array::from_iter_values(unit_of_row);
    arrow::compute::take(&units, &rows, None)
        .map_err(|error| StorageError::arrow("repeating attribute lists", error))
}

/// Attributes of one scope that have no column, one list per unit.
fn residual<'a>(
    attributes: &ScopeAttributes<'a>,
    promoted: &[Promoted],
    unit_count: usize,
) -> Result<EntryLists<'a>, StorageError> {
    let with_column: HashSet<(&str, ValueType)> = promoted
        .iter()
        .filter(|promoted| promoted.scope == attributes.scope)
        .map(|promoted| (promoted.key.as_str(), promoted.value_type))
        .collect();
    let mut values: Vec<Value<'a>> = attributes
        .keys
        .iter()
        .flat_map(|key| {
            super::attributes::SCALARS
                .into_iter()
                .zip(&key.values)
                .map(|v| (key.key, v))
        })
        .filter(|(key, (value_type, _))| !with_column.contains(&(*key, *value_type)))
        .flat_map(|(_, (_, values))| values)
        .copied()
        .collect();
    values.extend_from_slice(&attributes.rest);
    // Attributes of a unit stand in one allocation: their addresses tell their order.
    values.sort_unstable_by_key(|value| (value.unit, std::ptr::from_ref(value.attribute).addr()));
    let mut values = values.into_iter().peekable();
    let mut out = EntryLists::new();
    for unit in 0..super::row_number(unit_count) {
        while let Some(value) = values.next_if(|value| value.unit == unit) {
            out.push(value.attribute);
        }
        out.end_list()?;
    }
    Ok(out)
}
