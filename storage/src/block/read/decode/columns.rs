//! The columns of a batch of a block's rows, by what they hold.

use arrow::array::{
    ArrayRef, AsArray as _, BinaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, UInt32Array,
};

use super::values::{AttributeColumn, AttributeColumns, TextColumn};
use crate::block::meta::{AttributeScope, BlockMeta};
use crate::block::read::entries::{Entries, field};
use crate::error::StorageError;
use crate::model::Attribute;
use crate::otlp::KeyInterner;
use crate::schema::names;

/// The columns of a batch, by what they are.
pub(super) struct Columns<'a> {
    pub(super) object: &'a str,
    pub(super) trace_id: &'a FixedSizeBinaryArray,
    pub(super) span_id: &'a FixedSizeBinaryArray,
    pub(super) depth: &'a Int32Array,
    pub(super) parent_id: &'a FixedSizeBinaryArray,
    pub(super) start_ns: &'a Int64Array,
    pub(super) duration: &'a Int64Array,
    pub(super) end_ns: &'a Int64Array,
    pub(super) received_s: Option<&'a Int64Array>,
    pub(super) received_bytes: Option<&'a UInt32Array>,
    pub(super) name: TextColumn<'a>,
    pub(super) kind: &'a Int32Array,
    pub(super) status: &'a Int32Array,
    pub(super) status_message: TextColumn<'a>,
    pub(super) trace_state: TextColumn<'a>,
    pub(super) flags: &'a UInt32Array,
    pub(super) dropped_attributes: &'a UInt32Array,
    pub(super) dropped_events: &'a UInt32Array,
    pub(super) dropped_links: &'a UInt32Array,
    pub(super) scope_name: TextColumn<'a>,
    pub(super) scope_version: TextColumn<'a>,
    pub(super) scope_schema_url: TextColumn<'a>,
    pub(super) scope_dropped_attributes: &'a UInt32Array,
    pub(super) resource_schema_url: TextColumn<'a>,
    pub(super) resource_dropped_attributes: &'a UInt32Array,
    pub(super) entity_refs: &'a ListArray,
    pub(super) entity_bytes: &'a BinaryArray,
    pub(super) resource_attributes: AttributeColumns<'a>,
    pub(super) scope_attributes: AttributeColumns<'a>,
    pub(super) span_attributes: AttributeColumns<'a>,
    pub(super) events: Items<'a>,
    pub(super) event_names: &'a StringArray,
    pub(super) event_times: &'a Int64Array,
    pub(super) links: Items<'a>,
    pub(super) link_trace_ids: &'a FixedSizeBinaryArray,
    pub(super) link_span_ids: &'a FixedSizeBinaryArray,
    pub(super) link_states: &'a StringArray,
    pub(super) link_flags: &'a UInt32Array,
}

/// What events and links have in common.
pub(super) struct Items<'a> {
    pub(super) lists: &'a ListArray,
    fields: &'a StructArray,
    pub(super) dropped_attributes: &'a UInt32Array,
    attributes: Entries<'a>,
}

impl<'a> Items<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        let lists = array.as_list_opt::<i32>()?;
        let fields = lists.values().as_struct_opt()?;
        Some(Self {
            lists,
            fields,
            dropped_attributes: field(fields, names::ITEM_DROPPED_ATTRIBUTES)?,
            attributes: Entries::new(fields.column_by_name(names::ITEM_ATTRIBUTES)?)?,
        })
    }

    /// The attributes of an event or a link.
    pub(super) fn attributes(
        &self,
        at: usize,
        keys: &mut KeyInterner,
        object: &str,
    ) -> Result<Vec<Attribute>, StorageError> {
        let mut out = Vec::new();
        self.attributes.read(at, keys, object, &mut out)?;
        Ok(out)
    }
}

impl<'a> Columns<'a> {
    /// Finds the columns.
    ///
    /// # Errors
    ///
    /// If one is missing or of another type.
    pub(super) fn new(
        batch: &'a RecordBatch,
        meta: &'a BlockMeta,
        object: &'a str,
    ) -> Result<Self, StorageError> {
        let array = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| StorageError::malformed(object, name))
        };
        macro_rules! plain {
            ($name:expr) => {
                array($name)?
                    .as_any()
                    .downcast_ref()
                    .ok_or_else(|| StorageError::malformed(object, $name))?
            };
        }
        let text = |name: &str| {
            TextColumn::new(array(name)?).ok_or_else(|| StorageError::malformed(object, name))
        };
        let items =
            |name| Items::new(array(name)?).ok_or_else(|| StorageError::malformed(object, name));
        let attributes = |scope: AttributeScope, residual: &str| {
            let mut typed = Vec::new();
            for attribute in meta.attributes.iter().filter(|a| a.scope == scope) {
                for name in attribute.types.iter().filter_map(|t| t.column.as_ref()) {
                    let column = AttributeColumn::new(array(name)?)
                        .ok_or_else(|| StorageError::malformed(object, name))?;
                    typed.push((&*attribute.key, column));
                }
            }
            let residual = Entries::new(array(residual)?)
                .ok_or_else(|| StorageError::malformed(object, residual))?;
            Ok::<_, StorageError>(AttributeColumns { typed, residual })
        };
        let entity_refs: &ListArray = plain!(names::RESOURCE_ENTITY_REFS);
        let events = items(names::EVENTS)?;
        let links = items(names::LINKS)?;
        macro_rules! of_item {
            ($items:expr, $name:expr) => {
                field($items.fields, $name).ok_or_else(|| StorageError::malformed(object, $name))?
            };
        }
        Ok(Self {
            object,
            trace_id: plain!(names::TRACE_ID),
            span_id: plain!(names::SPAN_ID),
            depth: plain!(names::DEPTH),
            parent_id: plain!(names::PARENT_ID),
            start_ns: plain!(names::START_NS),
            duration: plain!(names::DURATION),
            end_ns: plain!(names::END_NS),
            received_s: batch
                .column_by_name(names::RECEIVED_S)
                .and_then(|it| it.as_primitive_opt()),
            received_bytes: batch
                .column_by_name(names::RECEIVED_BYTES)
                .and_then(|it| it.as_primitive_opt()),
            name: text(names::NAME)?,
            kind: plain!(names::KIND),
            status: plain!(names::STATUS),
            status_message: text(names::STATUS_MESSAGE)?,
            trace_state: text(names::TRACE_STATE)?,
            flags: plain!(names::FLAGS),
            dropped_attributes: plain!(names::DROPPED_ATTRIBUTES),
            dropped_events: plain!(names::DROPPED_EVENTS),
            dropped_links: plain!(names::DROPPED_LINKS),
            scope_name: text(names::SCOPE_NAME)?,
            scope_version: text(names::SCOPE_VERSION)?,
            scope_schema_url: text(names::SCOPE_SCHEMA_URL)?,
            scope_dropped_attributes: plain!(names::SCOPE_DROPPED_ATTRIBUTES),
            resource_schema_url: text(names::RESOURCE_SCHEMA_URL)?,
            resource_dropped_attributes: plain!(names::RESOURCE_DROPPED_ATTRIBUTES),
            entity_refs,
            entity_bytes: entity_refs
                .values()
                .as_binary_opt::<i32>()
                .ok_or_else(|| StorageError::malformed(object, names::RESOURCE_ENTITY_REFS))?,
            resource_attributes: attributes(AttributeScope::Resource, names::RESOURCE_RESIDUAL)?,
            scope_attributes: attributes(AttributeScope::Instrumentation, names::SCOPE_RESIDUAL)?,
            span_attributes: attributes(AttributeScope::Span, names::SPAN_RESIDUAL)?,
            event_names: of_item!(events, names::EVENT_NAME),
            event_times: of_item!(events, names::EVENT_TIME_NS),
            events,
            link_trace_ids: of_item!(links, names::LINK_TRACE_ID),
            link_span_ids: of_item!(links, names::LINK_SPAN_ID),
            link_states: of_item!(links, names::LINK_TRACE_STATE),
            link_flags: of_item!(links, names::LINK_FLAGS),
            links,
        })
    }
}
