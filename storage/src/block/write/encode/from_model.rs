//! Spans of the model on their way into a block.

use std::sync::Arc;

use super::arrive::{Arrived, Item, Origin, SpanRow};
use super::attributes::Datum;
use crate::block::receipt::Receipt;
use crate::block::write::row_number::row_number;
use crate::error::StorageError;
use crate::model::{Attribute, Span, SpanGroup};

/// Adds the spans of a group, but for those that `skip` says yes to. Each has the receipt in its place, if
/// there is one.
pub(super) fn add_group<'a>(
    group: &'a SpanGroup,
    receipts: &[Receipt],
    out: &mut Arrived<'a>,
    mut skip: impl FnMut() -> bool,
) -> Result<(), StorageError> {
    if group.spans.is_empty() {
        return Ok(());
    }
    // The groups outlive the work, so an address stands for one content.
    let address = |address: usize| address as u128;
    let resource = out
        .resources
        .index(address(Arc::as_ptr(&group.resource).addr()), || {
            Arc::clone(&group.resource)
        });
    let scope = out
        .scopes
        .index(address(Arc::as_ptr(&group.scope).addr()), || {
            Arc::clone(&group.scope)
        });
    let receipts = receipts.iter().copied().map(Some);
    let receipts = receipts.chain(std::iter::repeat(None));
    for (span, receipt) in group.spans.iter().zip(receipts) {
        if !skip() {
            let row = row(span, resource, scope, out);
            out.push(row, Origin::Model(span, receipt.unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// Takes a span apart; its attributes, events and links go to `out`.
fn row<'a>(span: &'a Span, resource: u32, scope: u32, out: &mut Arrived<'a>) -> SpanRow {
    let unit = out.unit();
    out.attributes.add_all(unit, &span.attributes, 1);
    let first_event = row_number(out.events.len());
    out.events.extend(span.events.iter().map(|event| Item {
        time_ns: event.time_ns,
        text: &event.name,
        dropped_attributes_count: event.dropped_attributes_count,
        attributes: datums(&event.attributes),
        ..Item::default()
    }));
    let first_link = row_number(out.links.len());
    out.links.extend(span.links.iter().map(|link| Item {
        trace_id: link.trace_id,
        span_id: link.span_id,
        text: &link.trace_state,
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
        attributes: datums(&link.attributes),
        ..Item::default()
    }));
    SpanRow {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent: span.parent_span_id,
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        kind: span.kind,
        status_code: span.status_code,
        flags: span.flags,
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
        name: out.names.code(&span.name),
        status_message: out.status_messages.code(&span.status_message),
        trace_state: out.trace_states.code(&span.trace_state),
        events: (first_event, row_number(out.events.len())),
        links: (first_link, row_number(out.links.len())),
        resource,
        scope,
    }
}

fn datums(attributes: &[Attribute]) -> Vec<(&str, Datum<'_>)> {
    attributes
        .iter()
        .map(|attribute| (&*attribute.key, Datum::of(&attribute.value)))
        .collect()
}
