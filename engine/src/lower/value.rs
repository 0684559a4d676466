//! TraceQL values as columns.
//!
//! TraceQL decides types at run time, one span at a time; DataFusion decides them before it starts.
//! The bridge: within one block it is known which types an attribute has, so a value is a list of
//! *alternatives*, one typed expression each, of which at most one is not null on any span.

use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use traceql::ast::{Kind, Literal, Status};

use crate::functions::Function;
use crate::types::Type;

/// One typed form that a value may have; null on spans where it has another or none.
#[derive(Debug, Clone)]
pub(crate) struct Alternative {
    pub(crate) value_type: Type,
    pub(crate) expr: Expr,
}

/// A value: what it can be. No alternatives: it is absent on every span.
///
/// Whether it can fail is found while it is lowered, from its parts: asking again at every level
/// would lower every part again, once per level above it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Value {
    pub(crate) alternatives: Vec<Alternative>,
    /// The constant it is, if it is one.
    pub(crate) literal: Option<Literal>,
    /// Whether evaluating it can fail on some span of the block.
    pub(crate) can_fail: bool,
    /// What must be evaluated besides the alternatives, for the sake of its failures.
    pub(crate) failures: Vec<Expr>,
}

/// A condition, in which null counts as false.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(crate) expr: Expr,
    /// Whether evaluating it can fail on some span of the block.
    pub(crate) can_fail: bool,
}

impl Predicate {
    /// A condition that has a value on every span.
    pub(crate) const fn infallible(expr: Expr) -> Self {
        Self {
            expr,
            can_fail: false,
        }
    }
}

impl Value {
    /// A value of one type.
    pub(crate) fn of(value_type: Type, expr: Expr) -> Self {
        Self {
            alternatives: vec![Alternative { value_type, expr }],
            ..Self::default()
        }
    }

    /// A constant.
    pub(crate) fn literal(literal: &Literal) -> Self {
        let (value_type, expr) = match literal {
            Literal::String(text) => (Type::String, lit(text.clone())),
            Literal::Int(value) => (Type::Int, lit(*value)),
            Literal::Float(value) => (Type::Float, lit(*value)),
            Literal::Duration(ns) => (Type::Duration, lit(*ns)),
            Literal::Bool(value) => (Type::Bool, lit(*value)),
            Literal::Status(status) => (Type::Status, lit(status_code(*status))),
            Literal::Kind(kind) => (Type::Kind, lit(kind_number(*kind))),
        };
        Self {
            literal: Some(literal.clone()),
            ..Self::of(value_type, expr)
        }
    }

    /// The expression of one type, null if the value never has it.
    pub(crate) fn get(&self, value_type: Type) -> Option<&Expr> {
        self.alternatives
            .iter()
            .find(|a| a.value_type == value_type)
            .map(|a| &a.expr)
    }

    /// Whether the value is of some type: on every span true or false.
    pub(crate) fn is_present(&self) -> Expr {
        let tests = self
            .alternatives
            .iter()
            .map(|a| a.expr.clone().is_not_null());
        tests.reduce(Expr::or).unwrap_or_else(|| lit(false))
    }

    /// What is left to evaluate for the sake of failures once the alternatives of the types that
    /// are `used` are.
    pub(crate) fn unused_failures(self, used: impl Fn(Type) -> bool) -> Vec<Expr> {
        if !self.can_fail {
            return Vec::new();
        }
        let unused = self
            .alternatives
            .into_iter()
            .filter(|a| !used(a.value_type));
        unused.map(|a| a.expr).chain(self.failures).collect()
    }

    /// Whether it is an array on some span.
    pub(crate) fn has_arrays(&self) -> bool {
        let mut types = self.alternatives.iter().map(|a| a.value_type);
        types.any(|t| t.element().is_some())
    }

    /// The boolean form, or a null boolean.
    pub(crate) fn as_bool(&self) -> Expr {
        self.get(Type::Bool)
            .cloned()
            .unwrap_or_else(|| lit(ScalarValue::Boolean(None)))
    }

    /// The numeric forms: integers and durations as one integer, floats.
    pub(crate) fn numbers(&self) -> (Option<Expr>, Option<Expr>) {
        let ints = self
            .alternatives
            .iter()
            .filter(|a| matches!(a.value_type, Type::Int | Type::Duration));
        let int = ints
            .map(|a| a.expr.clone())
            .reduce(|a, b| either(Type::Int, a, b));
        (int, self.get(Type::Float).cloned())
    }
}

/// OTLP's number of a status.
pub(crate) const fn status_code(status: Status) -> i32 {
    match status {
        Status::Unset => 0,
        Status::Ok => 1,
        Status::Error => 2,
    }
}

/// OTLP's number of a kind.
pub(crate) const fn kind_number(kind: Kind) -> i32 {
    match kind {
        Kind::Unspecified => 0,
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

pub(crate) fn cast(expr: Expr, to: DataType) -> Expr {
    datafusion::logical_expr::cast(expr, to)
}

/// `first`, or `second` where that is null; both of one type.
pub(crate) fn either(value_type: Type, first: Expr, second: Expr) -> Expr {
    // Text comes as plain strings and as dictionaries, which have no common type by themselves.
    let (first, second) = match value_type {
        Type::String => (cast(first, DataType::Utf8), cast(second, DataType::Utf8)),
        _ => (first, second),
    };
    Function::call(
        "first_of",
        "",
        value_type.arrow_type(),
        vec![first, second],
        |args| Ok(zip(&is_not_null(&args[0])?, &args[0], &args[1])?),
    )
}
