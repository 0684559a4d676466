//! The columns of a block: names, Arrow types, and what each is for.
//!
//! A block has the columns of [`fixed_fields`], then one column per promoted attribute, then the
//! columns of [`list_fields`]. Which attributes are promoted, and whether a text attribute is
//! dictionary-coded, each block decides from its own spans; [`crate::block::meta::BlockMeta`] says
//! what it decided.

pub mod names;
mod roles;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::sync::Arc;

pub use roles::{ColumnRole, column_roles};

/// Arrow type of a dictionary-coded text column.
#[must_use]
pub fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The columns before the attributes, in order.
#[must_use]
pub fn fixed_fields() -> Vec<Field> {
    use DataType::{FixedSizeBinary, Float64, Int32, Int64, UInt32};
    let dictionary = dictionary_type;
    vec![
        Field::new(names::TRACE_ID, FixedSizeBinary(16), false),
        Field::new(names::SPAN_ID, FixedSizeBinary(8), false),
        Field::new(names::TRACE_ROW, UInt32, false),
        Field::new(names::DEPTH, Int32, false),
        Field::new(names::DESCENDANTS, UInt32, false),
        Field::new(names::PARENT_ID, FixedSizeBinary(8), true),
        Field::new(names::START_S, Int64, false),
        Field::new(names::START_NS, Int64, false),
        Field::new(names::DURATION, Int64, false),
        Field::new(names::END_NS, Int64, true),
        Field::new(names::NAME, dictionary(), false),
        Field::new(names::KIND, Int32, false),
        Field::new(names::STATUS, Int32, false),
        Field::new(names::STATUS_MESSAGE, dictionary(), false),
        Field::new(names::CHILD_COUNT, Int32, false),
        Field::new(names::ROOT_NAME, dictionary(), false),
        Field::new(names::ROOT_SERVICE_NAME, dictionary(), false),
        Field::new(names::TRACE_DURATION, Int64, false),
        Field::new(names::TRACE_STATE, dictionary(), true),
        Field::new(names::FLAGS, UInt32, false),
        Field::new(names::DROPPED_ATTRIBUTES, UInt32, false),
        Field::new(names::DROPPED_EVENTS, UInt32, false),
        Field::new(names::DROPPED_LINKS, UInt32, false),
        Field::new(names::RECEIVED_S, Int64, true),
        Field::new(names::RECEIVED_BYTES, UInt32, true),
        Field::new(names::SAMPLING_WEIGHT, Float64, true),
        Field::new(names::SCOPE_NAME, dictionary(), false),
        Field::new(names::SCOPE_VERSION, dictionary(), false),
        Field::new(names::RESOURCE_SCHEMA_URL, dictionary(), true),
        Field::new(names::RESOURCE_DROPPED_ATTRIBUTES, UInt32, false),
        Field::new(
            names::RESOURCE_ENTITY_REFS,
            DataType::List(Arc::new(Field::new("item", DataType::Binary, false))),
            true,
        ),
        Field::new(names::SCOPE_SCHEMA_URL, dictionary(), true),
        Field::new(names::SCOPE_DROPPED_ATTRIBUTES, UInt32, false),
    ]
}

/// The columns after the attributes, in order.
#[must_use]
pub fn list_fields() -> Vec<Field> {
    let list = |name: &str, item: FieldRef| Field::new(name, DataType::List(item), false);
    vec![
        list(names::RESOURCE_RESIDUAL, entry_item()),
        list(names::SCOPE_RESIDUAL, entry_item()),
        list(names::SPAN_RESIDUAL, entry_item()),
        list(names::EVENTS, item(event_fields())),
        list(names::LINKS, item(link_fields())),
    ]
}

/// Fields of one entry of a residual column: a key, and exactly one non-null value.
#[must_use]
pub fn entry_fields() -> Fields {
    Fields::from(vec![
        Field::new(names::ENTRY_KEY, DataType::Utf8, false),
        Field::new(names::ENTRY_STRING, DataType::Utf8, true),
        Field::new(names::ENTRY_INT, DataType::Int64, true),
        Field::new(names::ENTRY_DOUBLE, DataType::Float64, true),
        Field::new(names::ENTRY_BOOL, DataType::Boolean, true),
        Field::new(names::ENTRY_OTHER, DataType::Binary, true),
    ])
}

/// Fields of one event.
#[must_use]
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new(names::EVENT_NAME, DataType::Utf8, false),
        Field::new(names::EVENT_TIME_NS, DataType::Int64, false),
        Field::new(names::ITEM_DROPPED_ATTRIBUTES, DataType::UInt32, false),
        Field::new(names::ITEM_ATTRIBUTES, DataType::List(entry_item()), false),
    ])
}

/// Fields of one link.
#[must_use]
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new(names::LINK_TRACE_ID, DataType::FixedSizeBinary(16), false),
        Field::new(names::LINK_SPAN_ID, DataType::FixedSizeBinary(8), false),
        Field::new(names::LINK_TRACE_STATE, DataType::Utf8, false),
        Field::new(names::LINK_FLAGS, DataType::UInt32, false),
        Field::new(names::ITEM_DROPPED_ATTRIBUTES, DataType::UInt32, false),
        Field::new(names::ITEM_ATTRIBUTES, DataType::List(entry_item()), false),
    ])
}

pub(crate) fn entry_item() -> FieldRef {
    item(entry_fields())
}

pub(crate) fn item(fields: Fields) -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields), false))
}
