//! What the scopes of names mean: where they are stored, and which conditions are about one event or
//! one link.

use storage::block::meta::AttributeScope;
use traceql::ast::{Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Scope};

use crate::functions::nested::Nested;

/// Where the attributes of a scope are stored: the first that has a key has its value.
pub(crate) const fn stored_scopes(scope: Scope) -> &'static [AttributeScope] {
    match scope {
        Scope::Unscoped => &[AttributeScope::Span, AttributeScope::Resource],
        Scope::Span => &[AttributeScope::Span],
        Scope::Resource => &[AttributeScope::Resource],
        Scope::Event => &[AttributeScope::Event],
        Scope::Link => &[AttributeScope::Link],
        Scope::Instrumentation => &[AttributeScope::Instrumentation],
    }
}

/// Events or links, if `condition` is about those alone.
///
/// Such a condition holds if **some** event satisfies it, and what is joined by `&&` must hold on
/// the same one. It is made of `&&`, `||`, comparisons and tests for `nil`; a negation is about the
/// span: no event satisfies what is negated.
pub(crate) fn nested_of(condition: &FieldExpr) -> Option<Nested> {
    let mut found = Attributes::default();
    (is_condition(condition) && found.visit(condition)).then_some(found.of)?
}

fn is_condition(expr: &FieldExpr) -> bool {
    match &expr.kind {
        FieldExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            lhs,
            rhs,
        } => is_condition(lhs) && is_condition(rhs),
        FieldExprKind::Binary { op, .. } => !op.is_arithmetic(),
        FieldExprKind::NilTest { .. } | FieldExprKind::Attribute(_) => true,
        FieldExprKind::Literal(_) | FieldExprKind::Unary { .. } => false,
    }
}

#[derive(Default)]
struct Attributes {
    of: Option<Nested>,
}

impl Attributes {
    /// False once an attribute is of a span, or of something else than those before it.
    fn visit(&mut self, expr: &FieldExpr) -> bool {
        match &expr.kind {
            FieldExprKind::Literal(_) => true,
            FieldExprKind::Attribute(attribute) => {
                let of = owner(attribute);
                let same = of.is_some() && (self.of.is_none() || self.of == of);
                self.of = of;
                same
            }
            FieldExprKind::Unary { operand, .. } => self.visit(operand),
            FieldExprKind::Binary { lhs, rhs, .. } => self.visit(lhs) && self.visit(rhs),
            FieldExprKind::NilTest { operand, .. } => {
                operand.as_ref().is_none_or(|operand| self.visit(operand))
            }
        }
    }
}

fn owner(attribute: &Attribute) -> Option<Nested> {
    match attribute {
        Attribute::Intrinsic {
            intrinsic: Intrinsic::EventName | Intrinsic::EventTimeSinceStart,
            ..
        }
        | Attribute::Key {
            scope: Scope::Event,
            of_parent: false,
            ..
        } => Some(Nested::Event),
        Attribute::Intrinsic {
            intrinsic: Intrinsic::LinkTraceId | Intrinsic::LinkSpanId,
            ..
        }
        | Attribute::Key {
            scope: Scope::Link,
            of_parent: false,
            ..
        } => Some(Nested::Link),
        Attribute::Intrinsic { .. } | Attribute::Key { .. } => None,
    }
}
