//! A block back to spans, every field of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use crate::block::MemoryBlock;
use crate::block::meta::{AttributeScope, BlockMeta};
use crate::block::read::entries::{Entries, EntryValue, field};
use crate::block::read::groups::Groups;
use crate::error::StorageError;
use crate::ids::{SpanId, TraceId};
use crate::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};
use crate::otlp::{KeyInterner, value_from_bytes};
use crate::schema::names;

/// Spans of a block, grouped by resource and scope, otherwise in block order.
///
/// Attributes come in another order than they arrived, but equal keys in the same.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn decode(block: &MemoryBlock) -> Result<Vec<SpanGroup>, StorageError> {
    decode_batches(&block.batches, &block.meta)
}

/// As [`decode`], for some rows of a block. A batch must hold whole subtrees from their first row
/// on, or the parents of its spans cannot be told: batches of whole traces always do, whatever
/// their number and size, as long as they come in block order without gaps inside a trace.
///
/// # Errors
///
/// If the batches do not have the columns of a block, or a parent is not among the rows.
pub fn decode_batches(
    batches: &[RecordBatch],
    meta: &BlockMeta,
) -> Result<Vec<SpanGroup>, StorageError> {
    let mut decoder = Decoder::new(meta);
    let mut out = Groups::default();
    for batch in batches {
        decoder.decode(batch, |resource, scope, span| {
            out.push(resource, scope, span)
        })?;
    }
    Ok(out.into_groups())
}

/// Decodes batches one by one, under the same conditions as [`decode_batches`].
pub(crate) struct Decoder<'a> {
    meta: &'a BlockMeta,
    object: String,
    /// Ids of the last row and those above it: a parent may be in an earlier batch.
    above: Vec<SpanId>,
    keys: KeyInterner,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(meta: &'a BlockMeta) -> Self {
        Self {
            meta,
            object: meta.block_id.to_string(),
            above: Vec::new(),
            keys: KeyInterner::default(),
        }
    }

    /// Hands over each span of the next batch. Equal resources of one batch share an allocation.
    pub(crate) fn decode(
        &mut self,
        batch: &RecordBatch,
        mut each: impl FnMut(Arc<Resource>, Arc<InstrumentationScope>, Span),
    ) -> Result<(), StorageError> {
        let columns = Columns::new(batch, self.meta, &self.object)?;
        let mut shared = Shared::default();
        for row in 0..batch.num_rows() {
            let (resource, scope) = shared.of(&columns, row, &mut self.keys)?;
            let span = columns.span(row, &mut self.above, &mut self.keys)?;
            each(resource, scope, span);
        }
        Ok(())
    }
}

/// Text, dictionary-coded or not.
enum Text<'a> {
    Plain(&'a StringArray),
    Dictionary(&'a Int32Array, &'a StringArray),
}

impl<'a> Text<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        if let Some(plain) = array.as_string_opt::<i32>() {
            return Some(Self::Plain(plain));
        }
        let dictionary = array.as_dictionary_opt::<Int32Type>()?;
        Some(Self::Dictionary(
            dictionary.keys(),
            dictionary.values().as_string_opt::<i32>()?,
        ))
    }

    fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Dictionary(keys, values) => {
                let key = keys.is_valid(row).then(|| keys.value(row))?;
                let key = usize::try_from(key).ok()?;
                (key < values.len()).then(|| values.value(key))
            }
        }
    }

    fn owned(&self, row: usize) -> String {
        self.get(row).unwrap_or_default().to_owned()
    }

    /// Something that is equal for equal texts of this array, and cheap.
    fn code(&self, row: usize) -> u64 {
        match self {
            Self::Plain(_) => self.get(row).map_or(u64::MAX, |text| {
                xxhash_rust::xxh3::xxh3_64(text.as_bytes()) & (u64::MAX >> 1)
            }),
            Self::Dictionary(keys, _) => {
                if keys.is_valid(row) {
                    u64::from(keys.value(row).cast_unsigned())
                } else {
                    u64::MAX
                }
            }
        }
    }
}

/// An attribute column.
enum Typed<'a> {
    Text(Text<'a>),
    Int(&'a Int64Array),
    Double(&'a Float64Array),
    Bool(&'a BooleanArray),
}

impl<'a> Typed<'a> {
    fn new(array: &'a ArrayRef) -> Option<Self> {
        let any = array.as_any();
        any.downcast_ref()
            .map(Self::Int)
            .or_else(|| any.downcast_ref().map(Self::Double))
            .or_else(|| any.downcast_ref().map(Self::Bool))
            .or_else(|| Text::new(array).map(Self::Text))
    }

    fn get(&self, row: usize) -> Option<AnyValue> {
        match self {
            Self::Text(text) => text.get(row).map(|text| AnyValue::String(text.to_owned())),
            Self::Int(array) => array.is_valid(row).then(|| AnyValue::Int(array.value(row))),
            Self::Double(array) => array
                .is_valid(row)
                .then(|| AnyValue::Double(array.value(row))),
            Self::Bool(array) => array
                .is_valid(row)
                .then(|| AnyValue::Bool(array.value(row))),
        }
    }

    fn code(&self, row: usize) -> [u64; 2] {
        match self {
            Self::Text(text) => [0, text.code(row)],
            Self::Int(array) if array.is_valid(row) => [1, array.value(row).cast_unsigned()],
            Self::Double(array) if array.is_valid(row) => [1, array.value(row).to_bits()],
            Self::Bool(array) if array.is_valid(row) => [1, u64::from(array.value(row))],
            Self::Int(_) | Self::Double(_) | Self::Bool(_) => [0, 0],
        }
    }
}

struct AttributeColumns<'a> {
    typed: Vec<(&'a str, Typed<'a>)>,
    residual: Entries<'a>,
}

impl AttributeColumns<'_> {
    fn read(
        &self,
        row: usize,
        keys: &mut KeyInterner,
        object: &str,
    ) -> Result<Vec<Attribute>, StorageError> {
        let mut out = Vec::new();
        for (key, column) in &self.typed {
            if let Some(value) = column.get(row) {
                out.push(Attribute {
                    key: keys.intern(key),
                    value,
                });
            }
        }
        self.residual.read(row, keys, object, &mut out)?;
        Ok(out)
    }

    fn sign(&self, row: usize, out: &mut Vec<u8>) {
        for (_, column) in &self.typed {
            column
                .code(row)
                .into_iter()
                .for_each(|code| out.extend(code.to_le_bytes()));
        }
        self.residual.sign(row, out);
    }
}

impl Entries<'_> {
    fn read(
        &self,
        row: usize,
        keys: &mut KeyInterner,
        object: &str,
        out: &mut Vec<Attribute>,
    ) -> Result<(), StorageError> {
        for at in self.of_row(row) {
            let value = self.decoded(at, keys, object)?;
            out.push(Attribute {
                key: keys.intern(self.key(at)),
                value,
            });
        }
        Ok(())
    }

    /// The value of an entry, decoded.
    pub(crate) fn decoded(
        &self,
        at: usize,
        keys: &mut KeyInterner,
        object: &str,
    ) -> Result<AnyValue, StorageError> {
        Ok(match self.value(at) {
            EntryValue::String(text) => AnyValue::String(text.to_owned()),
            EntryValue::Int(number) => AnyValue::Int(number),
            EntryValue::Double(number) => AnyValue::Double(number),
            EntryValue::Bool(truth) => AnyValue::Bool(truth),
            EntryValue::Other(bytes) => value_from_bytes(bytes, keys)
                .ok_or_else(|| malformed(object, "an attribute value"))?,
        })
    }

    fn sign(&self, row: usize, out: &mut Vec<u8>) {
        let range = self.of_row(row);
        out.extend(range.len().to_le_bytes());
        let mut bytes = |content: &[u8]| {
            out.extend(content.len().to_le_bytes());
            out.extend_from_slice(content);
        };
        for at in range {
            bytes(self.key(at).as_bytes());
            match self.value(at) {
                EntryValue::String(text) => {
                    bytes(b"s");
                    bytes(text.as_bytes());
                }
                EntryValue::Int(number) => {
                    bytes(b"i");
                    bytes(&number.to_le_bytes());
                }
                EntryValue::Double(number) => {
                    bytes(b"d");
                    bytes(&number.to_le_bytes());
                }
                EntryValue::Bool(truth) => bytes(if truth { b"t" } else { b"f" }),
                EntryValue::Other(value) => {
                    bytes(b"o");
                    bytes(value);
                }
            }
        }
    }
}

fn range(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offset = |at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
    offset(row)..offset(row + 1)
}

/// Resources and scopes of a batch, each made once.
#[derive(Default)]
struct Shared {
    resources: HashMap<u128, Arc<Resource>>,
    scopes: HashMap<u128, Arc<InstrumentationScope>>,
    signature: Vec<u8>,
}

impl Shared {
    fn of(
        &mut self,
        columns: &Columns<'_>,
        row: usize,
        keys: &mut KeyInterner,
    ) -> Result<(Arc<Resource>, Arc<InstrumentationScope>), StorageError> {
        self.signature.clear();
        columns.sign_resource(row, &mut self.signature);
        let signature = xxh3_128(&self.signature);
        let resource = match self.resources.get(&signature) {
            Some(resource) => Arc::clone(resource),
            None => {
                let resource = Arc::new(columns.resource(row, keys)?);
                self.resources.insert(signature, Arc::clone(&resource));
                resource
            }
        };
        self.signature.clear();
        columns.sign_scope(row, &mut self.signature);
        let signature = xxh3_128(&self.signature);
        let scope = match self.scopes.get(&signature) {
            Some(scope) => Arc::clone(scope),
            None => {
                let scope = Arc::new(columns.scope(row, keys)?);
                self.scopes.insert(signature, Arc::clone(&scope));
                scope
            }
        };
        Ok((resource, scope))
    }
}

/// The columns of a batch, by what they are.
struct Columns<'a> {
    object: &'a str,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    depth: &'a Int32Array,
    parent_id: &'a FixedSizeBinaryArray,
    start_ns: &'a Int64Array,
    duration: &'a Int64Array,
    end_ns: &'a Int64Array,
    name: Text<'a>,
    kind: &'a Int32Array,
    status: &'a Int32Array,
    status_message: Text<'a>,
    trace_state: Text<'a>,
    flags: &'a UInt32Array,
    dropped_attributes: &'a UInt32Array,
    dropped_events: &'a UInt32Array,
    dropped_links: &'a UInt32Array,
    scope_name: Text<'a>,
    scope_version: Text<'a>,
    scope_schema_url: Text<'a>,
    scope_dropped_attributes: &'a UInt32Array,
    resource_schema_url: Text<'a>,
    resource_dropped_attributes: &'a UInt32Array,
    entity_refs: &'a ListArray,
    entity_bytes: &'a BinaryArray,
    resource_attributes: AttributeColumns<'a>,
    scope_attributes: AttributeColumns<'a>,
    span_attributes: AttributeColumns<'a>,
    events: Items<'a>,
    event_names: &'a StringArray,
    event_times: &'a Int64Array,
    links: Items<'a>,
    link_trace_ids: &'a FixedSizeBinaryArray,
    link_span_ids: &'a FixedSizeBinaryArray,
    link_states: &'a StringArray,
    link_flags: &'a UInt32Array,
}

/// What events and links have in common.
struct Items<'a> {
    lists: &'a ListArray,
    fields: &'a StructArray,
    dropped_attributes: &'a UInt32Array,
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

    fn attributes(
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
    fn new(
        batch: &'a RecordBatch,
        meta: &'a BlockMeta,
        object: &'a str,
    ) -> Result<Self, StorageError> {
        let array = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| malformed(object, name))
        };
        macro_rules! plain {
            ($name:expr) => {
                array($name)?
                    .as_any()
                    .downcast_ref()
                    .ok_or_else(|| malformed(object, $name))?
            };
        }
        let text = |name: &str| Text::new(array(name)?).ok_or_else(|| malformed(object, name));
        let items = |name| Items::new(array(name)?).ok_or_else(|| malformed(object, name));
        let attributes = |scope: AttributeScope, residual: &str| {
            let mut typed = Vec::new();
            for attribute in meta.attributes.iter().filter(|a| a.scope == scope) {
                for name in attribute.types.iter().filter_map(|t| t.column.as_ref()) {
                    let column = Typed::new(array(name)?).ok_or_else(|| malformed(object, name))?;
                    typed.push((attribute.key.as_str(), column));
                }
            }
            let residual =
                Entries::new(array(residual)?).ok_or_else(|| malformed(object, residual))?;
            Ok::<_, StorageError>(AttributeColumns { typed, residual })
        };
        let entity_refs: &ListArray = plain!(names::RESOURCE_ENTITY_REFS);
        let events = items(names::EVENTS)?;
        let links = items(names::LINKS)?;
        macro_rules! of_item {
            ($items:expr, $name:expr) => {
                field($items.fields, $name).ok_or_else(|| malformed(object, $name))?
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
                .ok_or_else(|| malformed(object, names::RESOURCE_ENTITY_REFS))?,
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

    fn sign_resource(&self, row: usize, out: &mut Vec<u8>) {
        self.resource_attributes.sign(row, out);
        out.extend(self.resource_schema_url.code(row).to_le_bytes());
        out.extend(self.resource_dropped_attributes.value(row).to_le_bytes());
        for at in self.entity_range(row) {
            out.extend(self.entity_bytes.value(at).len().to_le_bytes());
            out.extend_from_slice(self.entity_bytes.value(at));
        }
    }

    fn sign_scope(&self, row: usize, out: &mut Vec<u8>) {
        self.scope_attributes.sign(row, out);
        for text in [
            &self.scope_name,
            &self.scope_version,
            &self.scope_schema_url,
        ] {
            out.extend(text.code(row).to_le_bytes());
        }
        out.extend(self.scope_dropped_attributes.value(row).to_le_bytes());
    }

    fn entity_range(&self, row: usize) -> std::ops::Range<usize> {
        if self.entity_refs.is_valid(row) {
            range(self.entity_refs, row)
        } else {
            0..0
        }
    }

    fn resource(&self, row: usize, keys: &mut KeyInterner) -> Result<Resource, StorageError> {
        Ok(Resource {
            attributes: self.resource_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.resource_dropped_attributes.value(row),
            schema_url: self.resource_schema_url.owned(row),
            entity_refs: self
                .entity_range(row)
                .map(|at| self.entity_bytes.value(at).to_vec())
                .collect(),
        })
    }

    fn scope(
        &self,
        row: usize,
        keys: &mut KeyInterner,
    ) -> Result<InstrumentationScope, StorageError> {
        Ok(InstrumentationScope {
            name: self.scope_name.owned(row),
            version: self.scope_version.owned(row),
            attributes: self.scope_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.scope_dropped_attributes.value(row),
            schema_url: self.scope_schema_url.owned(row),
        })
    }

    fn span(
        &self,
        row: usize,
        above: &mut Vec<SpanId>,
        keys: &mut KeyInterner,
    ) -> Result<Span, StorageError> {
        let span_id = SpanId(bytes(self.span_id, row));
        let level = self.depth.value(row).unsigned_abs() as usize;
        if level == 0 || level > above.len() + 1 {
            return Err(malformed(
                self.object,
                "a span without its parent before it",
            ));
        }
        above.truncate(level - 1);
        let parent_span_id = match above.last() {
            Some(parent) => Some(*parent),
            None => self
                .parent_id
                .is_valid(row)
                .then(|| SpanId(bytes(self.parent_id, row))),
        };
        above.push(span_id);
        let start_ns = self.start_ns.value(row);
        let end_ns = if self.end_ns.is_valid(row) {
            self.end_ns.value(row)
        } else {
            start_ns.saturating_add(self.duration.value(row))
        };
        Ok(Span {
            trace_id: TraceId(bytes(self.trace_id, row)),
            span_id,
            parent_span_id,
            trace_state: self.trace_state.owned(row),
            flags: self.flags.value(row),
            name: self.name.owned(row),
            kind: self.kind.value(row),
            start_ns,
            end_ns,
            attributes: self.span_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.dropped_attributes.value(row),
            events: range(self.events.lists, row)
                .map(|at| self.event(at, keys))
                .collect::<Result<_, _>>()?,
            dropped_events_count: self.dropped_events.value(row),
            links: range(self.links.lists, row)
                .map(|at| self.link(at, keys))
                .collect::<Result<_, _>>()?,
            dropped_links_count: self.dropped_links.value(row),
            status_code: self.status.value(row),
            status_message: self.status_message.owned(row),
        })
    }

    fn event(&self, at: usize, keys: &mut KeyInterner) -> Result<Event, StorageError> {
        Ok(Event {
            time_ns: self.event_times.value(at),
            name: self.event_names.value(at).to_owned(),
            attributes: self.events.attributes(at, keys, self.object)?,
            dropped_attributes_count: self.events.dropped_attributes.value(at),
        })
    }

    fn link(&self, at: usize, keys: &mut KeyInterner) -> Result<Link, StorageError> {
        Ok(Link {
            trace_id: TraceId(bytes(self.link_trace_ids, at)),
            span_id: SpanId(bytes(self.link_span_ids, at)),
            trace_state: self.link_states.value(at).to_owned(),
            attributes: self.links.attributes(at, keys, self.object)?,
            dropped_attributes_count: self.links.dropped_attributes.value(at),
            flags: self.link_flags.value(at),
        })
    }
}

/// Bytes of an id; its width is part of the column's type.
fn bytes<const N: usize>(array: &FixedSizeBinaryArray, row: usize) -> [u8; N] {
    array.value(row).try_into().unwrap_or([0; N])
}

fn malformed(object: &str, what: &str) -> StorageError {
    StorageError::Corrupt {
        object: object.to_owned(),
        what: what.to_owned(),
        expected: "as the format says".to_owned(),
        observed: "missing or of another type".to_owned(),
    }
}
