//! What each column is for, as the footer of a block tells other readers.

use serde::{Deserialize, Serialize};

use crate::block::meta::{AttributeScope, BlockMeta, ValueType};
use crate::schema::names;

/// What a column is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnRole {
    /// The column's name.
    pub column: String,
    /// `intrinsic`, `attribute` or `residual`.
    pub role: String,
    /// Scope of an attribute or residual column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<AttributeScope>,
    /// Key of an attribute column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Type of an attribute column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value_type: Option<ValueType>,
}

/// The role of each column of a block, in column order.
#[must_use]
pub fn column_roles(meta: &BlockMeta) -> Vec<ColumnRole> {
    let mut attributes = hashbrown::HashMap::new();
    for attribute in &meta.attributes {
        for of_type in &attribute.types {
            if let Some(column) = &of_type.column {
                attributes.insert(&**column, (attribute, of_type.value_type));
            }
        }
    }
    let role = |column: &str| {
        let bare = ColumnRole {
            column: column.to_owned(),
            role: "intrinsic".to_owned(),
            scope: None,
            key: None,
            value_type: None,
        };
        if let Some((attribute, value_type)) = attributes.get(column) {
            return ColumnRole {
                role: "attribute".to_owned(),
                scope: Some(attribute.scope),
                key: Some(attribute.key.to_string()),
                value_type: Some(*value_type),
                ..bare
            };
        }
        let scopes = [
            AttributeScope::Resource,
            AttributeScope::Instrumentation,
            AttributeScope::Span,
        ];
        match scopes
            .into_iter()
            .find(|scope| names::residual(*scope) == Some(column))
        {
            Some(scope) => ColumnRole {
                role: "residual".to_owned(),
                scope: Some(scope),
                ..bare
            },
            None => bare,
        }
    };
    meta.columns
        .iter()
        .map(|column| role(&column.name))
        .collect()
}
