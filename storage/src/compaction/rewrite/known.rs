//! Where a block has the attributes of a key and a type.

use std::sync::Arc;

use crate::block::Promoted;
use crate::block::meta::{AttributeMeta, BlockMeta, ValueType};

/// Whether the attributes of a key and a type occur, and if so in which column.
pub(super) fn column_of(known: &AttributeMeta, value_type: ValueType) -> Option<Option<&Arc<str>>> {
    let mut types = known.types.iter();
    let of_type = types.find(|of_type| of_type.value_type == value_type)?;
    Some(of_type.column.as_ref())
}

/// The column in which a block has the attributes of a key and a type.
pub(super) fn attribute_column<'a>(meta: &'a BlockMeta, promoted: &Promoted) -> Option<&'a str> {
    let known = meta.attribute(promoted.scope, &promoted.key)?;
    column_of(known, promoted.value_type)?.map(|column| &**column)
}
