//! The list columns: attributes without a column of their own, events and links.

use arrow::array::{ArrayRef, AsArray as _, Int32Array};
use hashbrown::HashSet;

use super::arrive::Arrived;
use super::attributes::{Rest, SCALARS, ScopeAttributes};
use super::collected::Collected;
use super::entries::{EntryLists, list};
use super::items::{events, links};
use super::promote::Promoted;
use super::rows::Rows;
use super::text::offset;
use crate::block::meta::ValueType;
use crate::block::write::row_number::row_number;
use crate::error::StorageError;
use crate::schema::entry_item;

/// The list columns, in schema order.
pub(super) fn columns(
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
            let resource = entry_lists(&resource, 0..row_number(all.resources.len()))?;
            let scope = entry_lists(&scope, 0..row_number(all.scopes.len()))?;
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
