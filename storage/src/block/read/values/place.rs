//! Where a block has the values of an attribute or a field.

use parquet::schema::types::SchemaDescriptor;

use crate::block::meta::{AttributeScope, BlockMeta};
use crate::schema::names;

/// What has the values that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// A column that every block has, by its name in [`names`]: of texts, integers, floats or
    /// booleans.
    Column(&'static str),
    /// The names of events.
    EventName,
    /// An attribute. Arrays stand for their elements.
    Attribute {
        /// Where the attribute stands.
        scope: AttributeScope,
        /// The attribute's key.
        key: String,
    },
}

/// A place in a block that has some of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A column of single values.
    Column(String),
    EventName,
    /// Entries of the residual column of a scope, or of events or links.
    Entries(AttributeScope, String),
}

impl ValueSource {
    /// The places of a block that have the values.
    pub(super) fn places(&self, meta: &BlockMeta) -> Vec<Place> {
        let (scope, key) = match self {
            Self::Column(name) => return vec![Place::Column((*name).to_owned())],
            Self::EventName => return vec![Place::EventName],
            Self::Attribute { scope, key } => (*scope, key),
        };
        let entries = || Place::Entries(scope, key.clone());
        let Some(attribute) = meta.attribute(scope, key) else {
            // Only a key without a column can be missing from the list.
            return if meta.attributes_complete {
                Vec::new()
            } else {
                vec![entries()]
            };
        };
        let mut places = Vec::new();
        for of_type in &attribute.types {
            let place = match &of_type.column {
                Some(column) => Place::Column(column.to_string()),
                None => entries(),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

impl Place {
    /// The leaf columns to read.
    pub(super) fn leaves(&self, schema: &SchemaDescriptor) -> Vec<usize> {
        let path: Vec<&str> = match self {
            Self::Column(name) => vec![name],
            Self::EventName => vec![names::EVENTS, "list", "item", names::EVENT_NAME],
            Self::Entries(scope, _) => match names::residual(*scope) {
                Some(column) => vec![column],
                None => vec![items(*scope), "list", "item", names::ITEM_ATTRIBUTES],
            },
        };
        let columns = schema.columns().iter().enumerate();
        let below = columns.filter(|(_, column)| {
            let parts = column.path().parts();
            parts.len() >= path.len() && parts.iter().zip(&path).all(|(part, want)| part == want)
        });
        below.map(|(leaf, _)| leaf).collect()
    }
}

/// The column of events or links.
pub(super) const fn items(scope: AttributeScope) -> &'static str {
    match scope {
        AttributeScope::Link => names::LINKS,
        AttributeScope::Event
        | AttributeScope::Resource
        | AttributeScope::Instrumentation
        | AttributeScope::Span => names::EVENTS,
    }
}
