//! Rules for expressions on one span.

use super::Analyzer;
use crate::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Kind, Literal, Status, UnaryOp,
};
use crate::cause::{LimitExceeded, ValidationError};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::limits::LimitName;
use crate::regex::{self, RegexError};
use crate::text_range::TextRange;
use crate::types::Type;

impl Analyzer<'_> {
    /// Checks an expression and gives its type.
    pub(super) fn field_expr(&mut self, expr: &FieldExpr) -> Result<Type, Error> {
        match &expr.kind {
            FieldExprKind::Literal(literal) => Ok(literal.static_type()),
            FieldExprKind::Attribute(attribute) => {
                self.check_attribute(attribute, expr.range)?;
                Ok(attribute.static_type())
            }
            FieldExprKind::Unary { op, operand } => self.unary(*op, operand, expr.range),
            FieldExprKind::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs, expr.range),
            FieldExprKind::NilTest { operand, is_nil } => {
                if let Some(operand) = operand {
                    self.nil_test(operand, *is_nil, expr.range)?;
                }
                Ok(Type::Bool)
            }
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &FieldExpr, range: TextRange) -> Result<Type, Error> {
        let ty = self.field_expr(operand)?;
        let is_legal = match op {
            UnaryOp::Neg => ty.is_numeric() || ty == Type::Attribute,
            UnaryOp::Not => matches!(ty, Type::Bool | Type::Attribute),
        };
        if is_legal {
            return Ok(ty);
        }
        let error = Error::new(
            ValidationError::IllegalUnaryOperator { op, operand: ty },
            range,
        );
        Err(match (op, &operand.kind) {
            // `!a * b` and the like are rare; `!duration > 1s` is what people write.
            (UnaryOp::Not, FieldExprKind::Attribute(_)) => {
                error.with_hint("`!` binds tighter than comparisons, write `!(… = …)`")
            }
            _ => error,
        })
    }

    fn nil_test(
        &mut self,
        operand: &FieldExpr,
        is_nil: bool,
        range: TextRange,
    ) -> Result<(), Error> {
        if self.dialect == Dialect::Spandrel
            && operand.kind == FieldExprKind::Attribute(Attribute::of_span(Intrinsic::Parent))
        {
            // The one thing that can be said of the parent span itself.
            return Ok(());
        }
        self.field_expr(operand)?;
        match &operand.kind {
            FieldExprKind::Attribute(attribute) if is_nil && attribute.is_never_nil() => {
                let name = attribute.canonical();
                let is_text = matches!(attribute.static_type(), Type::String | Type::Attribute);
                let hint = is_text
                    .then(|| format!("where it is missing it is empty, write `{name} = \"\"`"));
                let error = Error::new(ValidationError::NeverNil { attribute: name }, range);
                Err(match hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                })
            }
            _ => Ok(()),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
        range: TextRange,
    ) -> Result<Type, Error> {
        let left = self.field_expr(lhs)?;
        let right = self.field_expr(rhs)?;
        check_operator(op, left, right, range).map_err(|error| {
            let hint = if left.matches(right) {
                operator_hint(op, left, right)
            } else {
                mismatch_hint(lhs, rhs)
            };
            match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        })?;
        if matches!(op, BinaryOp::Regex | BinaryOp::NotRegex) {
            self.check_regex(op, rhs)?;
        }
        Ok(Type::of_binary(op, left, right))
    }

    fn check_regex(&mut self, op: BinaryOp, pattern: &FieldExpr) -> Result<(), Error> {
        let FieldExprKind::Literal(Literal::String(text)) = &pattern.kind else {
            return Err(Error::new(
                ValidationError::RegexNotLiteral { op },
                pattern.range,
            ));
        };
        self.regex_count += 1;
        let allowed = self.limits.max_regex_count;
        let limit = |name, observed, allowed| {
            Error::new(
                LimitExceeded {
                    name,
                    observed,
                    allowed,
                },
                pattern.range,
            )
        };
        if self.regex_count > allowed {
            return Err(limit(LimitName::RegexCount, self.regex_count, allowed));
        }
        match regex::compile_with_limits(text, self.limits) {
            Ok(_) => Ok(()),
            Err(RegexError::Syntax { reason }) => Err(Error::new(
                ValidationError::InvalidRegex { reason },
                pattern.range,
            )),
            Err(RegexError::TooLong { observed, allowed }) => {
                Err(limit(LimitName::RegexBytes, observed, allowed))
            }
            // How much more it needs is unknown: compilation stops at the limit.
            Err(RegexError::TooLarge { allowed }) => Err(limit(
                LimitName::RegexCompiledBytes,
                allowed.saturating_add(1),
                allowed,
            )),
        }
    }
}

/// Whether values of these types can stand on the two sides of the operator.
pub(super) fn check_operator(
    op: BinaryOp,
    lhs: Type,
    rhs: Type,
    range: TextRange,
) -> Result<(), Error> {
    if !lhs.matches(rhs) {
        return Err(Error::new(
            ValidationError::TypeMismatch { op, lhs, rhs },
            range,
        ));
    }
    for operand in [lhs, rhs] {
        if !operand.admits(op) {
            return Err(Error::new(
                ValidationError::IllegalOperator { op, operand },
                range,
            ));
        }
    }
    Ok(())
}

/// What was probably meant by an operator that its operands do not have.
fn operator_hint(op: BinaryOp, lhs: Type, rhs: Type) -> Option<String> {
    let either = |ty| lhs == ty || rhs == ty;
    match op {
        _ if either(Type::Status) || either(Type::Kind) => {
            Some("statuses and kinds are only equal or not, use = or !=".to_owned())
        }
        BinaryOp::And | BinaryOp::Or => Some("compare both sides with something".to_owned()),
        BinaryOp::Lt | BinaryOp::LtEq | BinaryOp::Gt | BinaryOp::GtEq if either(Type::Bool) => {
            Some("comparisons do not chain, join two of them with `&&`".to_owned())
        }
        BinaryOp::Regex | BinaryOp::NotRegex => Some("only text can match a regex".to_owned()),
        _ => None,
    }
}

/// What was probably meant by two operands that do not fit.
fn mismatch_hint(lhs: &FieldExpr, rhs: &FieldExpr) -> Option<String> {
    let ((FieldExprKind::Attribute(attribute), FieldExprKind::Literal(value))
    | (FieldExprKind::Literal(value), FieldExprKind::Attribute(attribute))) =
        (&lhs.kind, &rhs.kind)
    else {
        return None;
    };
    let name = attribute.canonical();
    let Literal::String(text) = value else {
        return match attribute.static_type() {
            Type::Status => Some(format!("write `{name} = error`, `ok` or `unset`")),
            Type::Kind => Some(format!("write `{name} = server`, `client`, `internal` …")),
            Type::String => Some(format!("{name} is text, quote the value")),
            _ => None,
        };
    };
    let text = text.to_ascii_lowercase();
    match attribute.static_type() {
        Type::Status if Status::from_name(&text).is_some() => {
            Some(format!("write `{name} = {text}`"))
        }
        Type::Kind if Kind::from_name(&text).is_some() => Some(format!("write `{name} = {text}`")),
        Type::Status => Some("a status is ok, error or unset".to_owned()),
        Type::Kind => {
            Some("a kind is unspecified, internal, server, client, producer or consumer".to_owned())
        }
        Type::Duration => Some(format!("durations are not quoted, write `{name} > 1s`")),
        Type::Int => Some("numbers are not quoted".to_owned()),
        _ => None,
    }
}
