//! The columns of what is written, and where each of them is in what is read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::attributes::{Lookup, Remaining};
use super::known::column_of;
use super::source::Source;
use super::texts::is_mostly_distinct;
use crate::block::meta::{AttributeScope, ValueType};
use crate::block::{AttributeCounts, BlockFile, Promoted, promote};
use crate::error::StorageError;
use crate::schema::{dictionary_type, fixed_fields, list_fields, names};

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// What the column of this name holds in every block that has it.
    Same,
    /// The attributes of this key and type.
    Attribute(AttributeScope, Arc<str>, ValueType),
    /// The attributes of a scope that have no column.
    Residual(AttributeScope),
    /// Events or links, with the attributes of this scope.
    Items(AttributeScope),
}

/// A column that is written.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) field: FieldRef,
    pub(super) content: Content,
}

/// All columns that are written, the same in every block and row group of a job.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) schema: SchemaRef,
    pub(super) all: Vec<Column>,
    pub(super) promoted: Vec<Promoted>,
}

/// How a column is made of the columns of a source.
#[derive(Debug)]
pub(super) enum Take {
    /// The source has nothing of it.
    Nothing,
    /// One column as it is.
    Column(Arc<str>),
    /// Attributes without a column.
    Lookup(Lookup),
    /// Attributes that remain without a column.
    Remaining(Remaining),
}

impl Columns {
    /// Chooses the columns: which attributes have one goes by how many spans of the inputs have each.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub(super) async fn choose(inputs: &mut [BlockFile]) -> Result<Self, StorageError> {
        let mut counts = AttributeCounts::default();
        let mut rows = 0;
        for file in inputs.iter() {
            counts.add_described(&file.meta().attributes);
            rows += file.meta().row_count;
        }
        let promoted = promote(counts.iter(), rows);
        let same = |field: Field| Column {
            field: Arc::new(field),
            content: Content::Same,
        };
        let mut all: Vec<Column> = fixed_fields().into_iter().map(same).collect();
        for one in &promoted {
            let count = counts.count(one.scope, &one.key, one.value_type);
            let data_type = match one.value_type {
                ValueType::Int => DataType::Int64,
                ValueType::Double => DataType::Float64,
                ValueType::Bool => DataType::Boolean,
                // Nothing else has a column.
                _ if is_mostly_distinct(inputs, one, count).await? => DataType::Utf8,
                _ => dictionary_type(),
            };
            all.push(Column {
                field: Arc::new(Field::new(&one.column, data_type, true)),
                content: Content::Attribute(one.scope, one.key.as_str().into(), one.value_type),
            });
        }
        all.extend(list_fields().into_iter().map(|field| Column {
            content: match field.name().as_str() {
                names::RESOURCE_RESIDUAL => Content::Residual(AttributeScope::Resource),
                names::SCOPE_RESIDUAL => Content::Residual(AttributeScope::Instrumentation),
                names::SPAN_RESIDUAL => Content::Residual(AttributeScope::Span),
                names::EVENTS => Content::Items(AttributeScope::Event),
                names::LINKS => Content::Items(AttributeScope::Link),
                _ => Content::Same,
            },
            field: Arc::new(field),
        }));
        let fields: Vec<FieldRef> = all.iter().map(|column| Arc::clone(&column.field)).collect();
        Ok(Self {
            schema: Arc::new(Schema::new(fields)),
            all,
            promoted,
        })
    }
}

impl Column {
    /// How the column is made of those of a source.
    pub(super) fn of(&self, source: &Source, promoted: &[Promoted]) -> Take {
        let meta = source.meta();
        match &self.content {
            Content::Same | Content::Items(_) if source.has(self.field.name()) => {
                Take::Column(self.field.name().as_str().into())
            }
            Content::Same | Content::Items(_) => Take::Nothing,
            Content::Residual(scope) => Take::Remaining(Remaining::new(meta, *scope, promoted)),
            Content::Attribute(scope, key, value_type) => {
                let Some(known) = meta.attribute(*scope, key) else {
                    // Where not all keys are named, one that is not has no column of any type.
                    return if meta.attributes_complete {
                        Take::Nothing
                    } else {
                        Take::Lookup(Lookup::new(*scope, key, *value_type, Vec::new()))
                    };
                };
                match column_of(known, *value_type) {
                    None => Take::Nothing,
                    Some(Some(column)) => Take::Column(Arc::clone(column)),
                    Some(None) => {
                        let others = known.types.iter().filter_map(|other| other.column.as_ref());
                        let others = others.map(Arc::clone).collect();
                        Take::Lookup(Lookup::new(*scope, key, *value_type, others))
                    }
                }
            }
        }
    }
}

impl Take {
    /// Whether a column of the source is needed.
    pub(super) fn needs(&self, column: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Column(name) => &**name == column,
            Self::Lookup(lookup) => lookup.needs(column),
            Self::Remaining(remaining) => remaining.needs(column),
        }
    }
}
