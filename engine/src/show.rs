//! What a span is shown with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use traceql::ast::Attribute;

use crate::batch::Evaluation;
use crate::key::{KeyColumn, KeyKind};
use crate::lower::layout::Layout;
use crate::series::{AttributeValue, LabelValue};
use crate::types::Type;

/// An attribute's key, and its value by type.
type Attributes<E> = Vec<(String, Vec<(Type, E)>)>;

/// Attributes to show, lowered for one block.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    attributes: Attributes<Expr>,
}

/// [`Shown`], ready to be evaluated.
pub(crate) struct Show {
    attributes: Attributes<Arc<dyn PhysicalExpr>>,
}

impl Shown {
    /// `name` gives the key that an attribute is shown under.
    pub(crate) fn lower(
        attributes: &[Attribute],
        layout: &Layout<'_>,
        name: fn(&Attribute) -> String,
    ) -> Result<Self> {
        let lower = |attribute: &Attribute| {
            let value = layout.shown(attribute)?;
            let alternatives = value.alternatives.into_iter();
            let alternatives = alternatives.map(|a| (a.value_type, a.expr)).collect();
            Ok((name(attribute), alternatives))
        };
        Ok(Self {
            attributes: attributes.iter().map(lower).collect::<Result<_>>()?,
        })
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let attributes = self.attributes.iter();
        attributes.flat_map(|(_, alternatives)| alternatives.iter().map(|(_, expr)| expr))
    }

    pub(crate) fn physical(&self, schema: &SchemaRef, session: &dyn Session) -> Result<Show> {
        let evaluation = Evaluation::try_new(schema, session)?;
        let physical = |(value_type, expr): &(Type, Expr)| Ok((*value_type, evaluation.of(expr)?));
        let attributes = self.attributes.iter().map(|(key, alternatives)| {
            let alternatives = alternatives.iter().map(physical).collect::<Result<_>>()?;
            Ok((key.clone(), alternatives))
        });
        Ok(Show {
            attributes: attributes.collect::<Result<_>>()?,
        })
    }
}

impl Show {
    /// The attributes that each row has, in the order in which they were asked for.
    pub(crate) fn rows(&self, batch: &RecordBatch) -> Result<Vec<Vec<(String, AttributeValue)>>> {
        let mut rows = vec![Vec::new(); batch.num_rows()];
        for (key, alternatives) in &self.attributes {
            for (value_type, expr) in alternatives {
                let values = expr.evaluate(batch)?.into_array(batch.num_rows())?;
                let column = Column::try_new(*value_type, &values)?;
                for (at, row) in rows.iter_mut().enumerate() {
                    let shown = column.get(at)?.map(|value| (key.clone(), value));
                    // Two scopes may have the same to say under one key.
                    row.extend(shown.filter(|shown| !row.contains(shown)));
                }
            }
        }
        Ok(rows)
    }
}

/// The key without its scope, or the canonical name of an intrinsic.
pub(crate) fn key_without_scope(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Key { key, .. } => key.clone(),
        Attribute::Intrinsic { .. } => attribute.canonical(),
    }
}

/// One alternative of an attribute.
enum Column {
    Scalar(KeyColumn),
    /// The type of the elements, and a column of lists.
    Array(Type, ArrayRef),
}

impl Column {
    fn try_new(value_type: Type, values: &ArrayRef) -> Result<Self> {
        Ok(match value_type.element() {
            Some(element) => Self::Array(element, Arc::clone(values)),
            None => Self::Scalar(KeyColumn::try_new(KeyKind::Typed(value_type), values)?),
        })
    }

    fn get(&self, row: usize) -> Result<Option<AttributeValue>> {
        match self {
            Self::Scalar(column) => Ok(column.get(row)?.label().map(AttributeValue::Scalar)),
            Self::Array(element, lists) => {
                let Some(lists) = lists.as_list_opt::<i32>() else {
                    return Ok(None);
                };
                if lists.is_null(row) {
                    return Ok(None);
                }
                elements(*element, &lists.value(row))
                    .map(|values| Some(AttributeValue::Array(values)))
            }
        }
    }
}

fn elements(element: Type, values: &ArrayRef) -> Result<Vec<LabelValue>> {
    Ok(match element {
        Type::Int => {
            let values = cast(values, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            values.iter().flatten().map(LabelValue::Int).collect()
        }
        Type::Float => {
            let values = cast(values, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            values.iter().flatten().map(LabelValue::Float).collect()
        }
        Type::Bool => {
            let values = values.as_boolean();
            values.iter().flatten().map(LabelValue::Bool).collect()
        }
        _ => {
            let values = cast(values, &DataType::Utf8)?;
            let values = values.as_string::<i32>();
            let text = |text: &str| LabelValue::String(text.into());
            values.iter().flatten().map(text).collect()
        }
    })
}
