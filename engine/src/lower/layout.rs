//! Where the attributes of one block are, and of which types.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, lit, when};
use storage::block::meta::{AttributeScope, AttributeTypeMeta, BlockMeta, ValueType};
use storage::schema::names;
use traceql::Dialect;
use traceql::ast::{Attribute, Intrinsic, Scope};

use super::nested_set;
use super::value::{Alternative, Value, either};
use crate::columns;
use crate::columns::{RESOLVED_PARENT_ID, SELF_TIME, column};
use crate::functions::attribute;
use crate::functions::ids::hex_text;
use crate::functions::nested::{self, Element, Nested};
use crate::types::Type;

/// What a row is while an expression is lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// A span of the block.
    Span,
    /// An event or link of a span.
    Nested(Nested),
}

/// What a key may be that a block with too many keys does not list: it has no column then.
const ANYTHING: &[AttributeTypeMeta] = &[
    residual(ValueType::String),
    residual(ValueType::Int),
    residual(ValueType::Double),
    residual(ValueType::Bool),
    residual(ValueType::StringArray),
    residual(ValueType::IntArray),
    residual(ValueType::DoubleArray),
    residual(ValueType::BoolArray),
];

const fn residual(value_type: ValueType) -> AttributeTypeMeta {
    AttributeTypeMeta {
        value_type,
        column: None,
        count: 0,
    }
}

/// Resolves the names of a query in one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout<'a> {
    pub(crate) block: &'a BlockMeta,
    pub(crate) row: Row,
    pub(crate) dialect: Dialect,
    /// Which event or link of a span a value is taken of.
    pub(crate) element: Element,
}

impl<'a> Layout<'a> {
    /// Rows are spans.
    pub(crate) const fn spans(block: &'a BlockMeta, dialect: Dialect) -> Self {
        Self {
            block,
            row: Row::Span,
            dialect,
            element: Element::First,
        }
    }

    /// Rows are the events or links of spans.
    pub(crate) const fn nested(self, nested: Nested) -> Self {
        Self {
            row: Row::Nested(nested),
            ..self
        }
    }

    /// The value of a name.
    pub(crate) fn resolve(&self, attribute: &Attribute) -> Result<Value> {
        let own = match attribute {
            Attribute::Intrinsic { intrinsic, .. } => self.intrinsic(*intrinsic)?,
            Attribute::Key { scope, key, .. } => self.key(*scope, key)?,
        };
        match (attribute.is_of_parent(), self.dialect) {
            (false, _) => Ok(own),
            (true, Dialect::Spandrel) => of_parent(own),
            // Tempo's language accepts them in `by(…)` of metrics, and groups everything as absent.
            (true, Dialect::Tempo) => Ok(Value::default()),
        }
    }

    /// The value that a span is shown with: as [`Self::resolve`], but of the last event or link that
    /// has one of any type.
    pub(crate) fn shown(&self, attribute: &Attribute) -> Result<Value> {
        let shown = Self {
            element: Element::Last,
            ..*self
        };
        shown.resolve(attribute)
    }

    fn intrinsic(&self, intrinsic: Intrinsic) -> Result<Value> {
        let of = |value_type, name: &str| Ok(Value::of(value_type, column(name)));
        match intrinsic {
            Intrinsic::Duration => of(Type::Duration, names::DURATION),
            Intrinsic::Name => of(Type::String, names::NAME),
            Intrinsic::Status => of(Type::Status, names::STATUS),
            Intrinsic::StatusMessage => of(Type::String, names::STATUS_MESSAGE),
            Intrinsic::Kind => of(Type::Kind, names::KIND),
            Intrinsic::SpanId => Ok(Value::of(
                Type::String,
                hex_text(column(names::SPAN_ID), false),
            )),
            Intrinsic::SpanParentId => Ok(Value::of(
                Type::String,
                hex_text(column(RESOLVED_PARENT_ID), false),
            )),
            Intrinsic::SpanChildCount => Ok(Value::of(
                Type::Int,
                super::value::cast(column(names::CHILD_COUNT), DataType::Int64),
            )),
            Intrinsic::TraceId => Ok(Value::of(
                Type::String,
                hex_text(column(names::TRACE_ID), true),
            )),
            Intrinsic::TraceDuration => of(Type::Duration, names::TRACE_DURATION),
            Intrinsic::RootName => of(Type::String, names::ROOT_NAME),
            Intrinsic::RootServiceName => of(Type::String, names::ROOT_SERVICE_NAME),
            Intrinsic::InstrumentationName => of(Type::String, names::SCOPE_NAME),
            Intrinsic::InstrumentationVersion => of(Type::String, names::SCOPE_VERSION),
            Intrinsic::NestedSetLeft => Ok(Value::of(Type::Int, nested_set::left()?)),
            Intrinsic::NestedSetRight => Ok(Value::of(Type::Int, nested_set::right()?)),
            Intrinsic::NestedSetParent => Ok(Value::of(Type::Int, nested_set::parent()?)),
            Intrinsic::EventName => {
                let name = self
                    .nested_value(Nested::Event, &[(Type::String, column(nested::EVENT_NAME))])?;
                // A span without events has an event name all the same: the empty one.
                Ok(match (self.row, name.get(Type::String)) {
                    (Row::Span, Some(first)) => {
                        Value::of(Type::String, either(Type::String, first.clone(), lit("")))
                    }
                    _ => name,
                })
            }
            Intrinsic::EventTimeSinceStart => {
                let since = column(nested::EVENT_TIME_SINCE_START);
                self.nested_value(Nested::Event, &[(Type::Duration, since)])
            }
            Intrinsic::LinkTraceId => {
                let id = hex_text(column(nested::LINK_TRACE_ID), true);
                self.nested_value(Nested::Link, &[(Type::String, id)])
            }
            Intrinsic::LinkSpanId => {
                let id = hex_text(column(nested::LINK_SPAN_ID), false);
                self.nested_value(Nested::Link, &[(Type::String, id)])
            }
            Intrinsic::SpanSelfTime => of(Type::Duration, SELF_TIME),
            // Of the parent itself there is nothing to see but that it is there.
            Intrinsic::Parent if self.dialect == Dialect::Spandrel => {
                of_parent(Value::of(Type::Bool, lit(true)))
            }
            Intrinsic::Parent => Ok(Value::default()),
        }
    }

    /// A value of an event or link: itself where rows are such, else the one of a span's first or last.
    fn nested_value(&self, of: Nested, alternatives: &[(Type, Expr)]) -> Result<Value> {
        let present = alternatives.iter().map(|(_, e)| e.clone().is_not_null());
        // Whatever its type: a span is shown with one value of a name.
        let present = present.reduce(Expr::or).unwrap_or_else(|| lit(false));
        let mut value = Value::default();
        for &(value_type, ref expr) in alternatives {
            let (lists, start) = (column(of.column()), column(names::START_NS));
            let arrow_type = value_type.arrow_type();
            let expr = match self.element {
                _ if self.row == Row::Nested(of) => expr.clone(),
                Element::First => nested::first(of, expr, arrow_type, lists, start)?,
                Element::Last => nested::last(of, &present, expr, arrow_type, lists, start)?,
            };
            value.alternatives.push(Alternative { value_type, expr });
        }
        Ok(value)
    }

    fn key(&self, scope: Scope, key: &str) -> Result<Value> {
        match scope {
            Scope::Span => Ok(self.stored(AttributeScope::Span, key)),
            Scope::Instrumentation => Ok(self.stored(AttributeScope::Instrumentation, key)),
            Scope::Resource if key == "service.name" => Ok(self.service_name()),
            Scope::Resource => Ok(self.stored(AttributeScope::Resource, key)),
            Scope::Unscoped => self.unscoped(key),
            Scope::Event => self.nested_key(Nested::Event, AttributeScope::Event, key),
            Scope::Link => self.nested_key(Nested::Link, AttributeScope::Link, key),
        }
    }

    fn types(&self, scope: AttributeScope, key: &str) -> &'a [AttributeTypeMeta] {
        let unlisted: &[_] = if self.block.attributes_complete {
            &[]
        } else {
            ANYTHING
        };
        let listed = self.block.attribute(scope, key);
        listed.map_or(unlisted, |attribute| &attribute.types)
    }

    fn stored(&self, scope: AttributeScope, key: &str) -> Value {
        let Some(residual) = names::residual(scope) else {
            return Value::default();
        };
        Value {
            alternatives: alternatives(self.types(scope, key), column(residual), key),
            ..Value::default()
        }
    }

    /// `resource.service.name` is present on every span; where the resource has none it is empty.
    fn service_name(&self) -> Value {
        let types = self.types(AttributeScope::Resource, "service.name");
        let of_text = |t: &AttributeTypeMeta| {
            t.value_type == ValueType::String && t.count == self.block.row_count
        };
        if types.iter().any(of_text) {
            return Value::of(Type::String, column(names::SERVICE_NAME));
        }
        let mut value = self.stored(AttributeScope::Resource, "service.name");
        let text = Value::of(
            Type::String,
            value
                .get(Type::String)
                .cloned()
                .unwrap_or_else(|| column(names::SERVICE_NAME)),
        );
        value.alternatives.retain(|a| a.value_type != Type::String);
        let expr = match (
            text.get(Type::String).cloned(),
            value.alternatives.is_empty(),
        ) {
            (Some(text), true) => either(Type::String, text, lit("")),
            (Some(text), false) => {
                let other = value.is_present();
                let empty = when(other, lit(ScalarValue::Utf8(None))).otherwise(lit(""));
                either(Type::String, text, empty.unwrap_or_else(|_| lit("")))
            }
            (None, _) => lit(""),
        };
        value.alternatives.push(Alternative {
            value_type: Type::String,
            expr,
        });
        value
    }

    /// `.key`: the span's attribute if it has one of any type that TraceQL knows, else the resource's.
    fn unscoped(&self, key: &str) -> Result<Value> {
        let of_span = self.stored(AttributeScope::Span, key);
        let of_resource = self.stored(AttributeScope::Resource, key);
        if of_resource.alternatives.is_empty() {
            return Ok(of_span);
        }
        if of_span.alternatives.is_empty() {
            return Ok(of_resource);
        }
        let shadowed = of_span.is_present();
        let mut value = of_span.clone();
        for Alternative { value_type, expr } in of_resource.alternatives {
            let null = lit(ScalarValue::try_from(&value_type.arrow_type())?);
            let unshadowed = when(shadowed.clone(), null).otherwise(expr)?;
            match value
                .alternatives
                .iter_mut()
                .find(|a| a.value_type == value_type)
            {
                Some(held) => held.expr = either(value_type, held.expr.clone(), unshadowed),
                None => value.alternatives.push(Alternative {
                    value_type,
                    expr: unshadowed,
                }),
            }
        }
        Ok(value)
    }

    fn nested_key(&self, of: Nested, scope: AttributeScope, key: &str) -> Result<Value> {
        let found = alternatives(self.types(scope, key), column(nested::ATTRIBUTES), key);
        let pairs: Vec<_> = found.into_iter().map(|a| (a.value_type, a.expr)).collect();
        self.nested_value(of, &pairs)
    }
}

/// The same value of the parent span; absent where a span has no parent in its trace.
fn of_parent(value: Value) -> Result<Value> {
    let has_parent = column(&columns::of_parent(names::START_S)).is_not_null();
    let to_parent = |expr: Expr| {
        Ok(match expr {
            Expr::Column(own) => Transformed::yes(column(&columns::of_parent(&own.name))),
            other => Transformed::no(other),
        })
    };
    let alternative = |Alternative { value_type, expr }| {
        let is_column = matches!(expr, Expr::Column(_));
        let expr = expr.transform(to_parent)?.data;
        let expr = if is_column {
            expr
        } else {
            // What makes up for a missing value must not make one up for a missing parent.
            let null = lit(ScalarValue::try_from(&value_type.arrow_type())?);
            when(has_parent.clone(), expr).otherwise(null)?
        };
        Ok(Alternative { value_type, expr })
    };
    let alternatives = value.alternatives.into_iter().map(alternative);
    Ok(Value {
        alternatives: alternatives.collect::<Result<_>>()?,
        ..Value::default()
    })
}

/// The alternatives of a key: typed columns where there are, look-ups in the residual elsewhere.
fn alternatives(types: &[AttributeTypeMeta], residual: Expr, key: &str) -> Vec<Alternative> {
    let mut found: Vec<Alternative> = Vec::new();
    let mut add = |value_type: Type, expr: Expr| match found
        .iter_mut()
        .find(|a| a.value_type == value_type)
    {
        Some(held) if held.expr == expr => {}
        Some(held) => held.expr = either(value_type, held.expr.clone(), expr),
        None => found.push(Alternative { value_type, expr }),
    };
    for AttributeTypeMeta {
        value_type,
        column: own,
        ..
    } in types
    {
        let scalar = match value_type {
            ValueType::String | ValueType::StringArray => (ValueType::String, Type::String),
            ValueType::Int | ValueType::IntArray => (ValueType::Int, Type::Int),
            ValueType::Double | ValueType::DoubleArray => (ValueType::Double, Type::Float),
            ValueType::Bool | ValueType::BoolArray => (ValueType::Bool, Type::Bool),
            ValueType::Other => continue,
        };
        let array = match value_type {
            ValueType::StringArray => Some(Type::StringArray),
            ValueType::IntArray => Some(Type::IntArray),
            ValueType::DoubleArray => Some(Type::FloatArray),
            ValueType::BoolArray => Some(Type::BoolArray),
            _ => None,
        };
        match own {
            Some(name) => add(scalar.1, column(name)),
            None => add(scalar.1, attribute::lookup(residual.clone(), key, scalar.0)),
        }
        if let Some(array) = array {
            add(array, attribute::lookup(residual.clone(), key, *value_type));
        }
    }
    found
}
