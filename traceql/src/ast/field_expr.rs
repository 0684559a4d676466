//! Expressions that are evaluated on one span.

use super::attribute::Attribute;
use super::literal::Literal;
use super::operator::{BinaryOp, UnaryOp};
use crate::text_range::TextRange;

/// An expression evaluated on one span.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldExpr {
    /// What it is.
    pub kind: FieldExprKind,
    /// Where it stands.
    pub range: TextRange,
}

/// The forms of a field expression.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldExprKind {
    /// A constant.
    Literal(Literal),
    /// An attribute or intrinsic of the span.
    Attribute(Attribute),
    /// `-e` or `!e`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Its operand.
        operand: Box<FieldExpr>,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<FieldExpr>,
        /// Right operand.
        rhs: Box<FieldExpr>,
    },
    /// `e = nil`, `e != nil`, `nil = e`, `nil != e`, `nil = nil`, `nil != nil`.
    NilTest {
        /// What is tested; `None` where it is itself `nil`, for which both tests are false.
        operand: Option<Box<FieldExpr>>,
        /// `true` for `= nil` (absent), `false` for `!= nil` (present).
        is_nil: bool,
    },
}
