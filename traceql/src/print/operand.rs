//! Operators and their operands: where parentheses are needed.

use std::fmt::{self, Display, Formatter, Write};

use super::print_filter;
use crate::ast::{
    BinaryOp, FieldExpr, FieldExprKind, MetricsExpr, ScalarExpr, SpansetExpr, UnaryOp,
};
use crate::operators::{LOOSEST, Level, NEGATIVE_SERIES, NEGATIVE_SERIES_OPERAND, TIGHTEST};

/// Comparisons with nil bind like other comparisons.
const NIL_TEST_LEVEL: Level = BinaryOp::Eq.level();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parens {
    WhereNeeded,
    Everywhere,
}

/// Prints a node in one of the two ways.
pub(super) struct Printed<'a, T: ?Sized>(pub(super) &'a T, pub(super) Parens);

/// Where an operand stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The loosest level that may stand here without parentheses.
    pub(super) min: Level,
    /// The level of the operator that follows, or none.
    pub(super) follow: Level,
    pub(super) parens: Parens,
}

/// Nothing follows, or a closing bracket does.
pub(super) const NOTHING: Level = 0;

impl Place {
    /// Between brackets.
    pub(super) const fn alone(parens: Parens) -> Self {
        Self {
            min: LOOSEST,
            follow: NOTHING,
            parens,
        }
    }
}

/// What can be an operand.
pub(super) trait Operand {
    fn level(&self) -> Level;

    /// Whether it is an operator written before its operand. It may stand right of any operator,
    /// but takes what follows for itself if that binds tighter.
    fn is_prefixed(&self) -> bool;

    /// Without parentheses around it.
    fn print_bare(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result;

    fn print(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result {
        let level = self.level();
        let needs_parens = match place.parens {
            Parens::Everywhere => level < TIGHTEST,
            Parens::WhereNeeded if self.is_prefixed() => level < place.follow,
            Parens::WhereNeeded => level < place.min,
        };
        if needs_parens {
            f.write_char('(')?;
            self.print_bare(Place::alone(place.parens), f)?;
            f.write_char(')')
        } else {
            self.print_bare(place, f)
        }
    }
}

impl<T: Operand> Display for Printed<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.print_bare(Place::alone(self.1), f)
    }
}

impl Operand for SpansetExpr {
    fn level(&self) -> Level {
        match self {
            Self::Filter { .. } | Self::Pipeline { .. } => TIGHTEST,
            Self::Binary { op, .. } => op.level(),
        }
    }

    fn is_prefixed(&self) -> bool {
        false
    }

    fn print_bare(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter { condition, .. } => print_filter(condition.as_ref(), place.parens, f),
            Self::Binary { op, lhs, rhs, .. } => {
                let (left, right) = places(op.level(), false, place);
                lhs.print(left, f)?;
                write!(f, " {op} ")?;
                rhs.print(right, f)
            }
            Self::Pipeline { pipeline, .. } => {
                f.write_char('(')?;
                pipeline.print(place.parens, f)?;
                f.write_char(')')
            }
        }
    }
}

impl Operand for ScalarExpr {
    fn level(&self) -> Level {
        match self {
            // A sign belongs to the number here.
            Self::Aggregate(_)
            | Self::Number { .. }
            | Self::Pipeline { .. }
            | Self::Literal { .. } => TIGHTEST,
            Self::Binary { op, .. } => op.level(),
        }
    }

    fn is_prefixed(&self) -> bool {
        false
    }

    fn print_bare(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate(aggregate) => aggregate.print(place.parens, f),
            Self::Number { value, .. } | Self::Literal { value, .. } => value.fmt(f),
            Self::Binary { op, lhs, rhs, .. } => {
                print_binary(*op, lhs.as_ref(), rhs.as_ref(), place, f)
            }
            Self::Pipeline {
                pipeline,
                aggregate,
                ..
            } => {
                f.write_char('(')?;
                pipeline.print(place.parens, f)?;
                f.write_str(" | ")?;
                aggregate.print(place.parens, f)?;
                f.write_char(')')
            }
        }
    }
}

impl Operand for MetricsExpr {
    fn level(&self) -> Level {
        match self {
            Self::Number { value, .. } if value.is_signed() => NEGATIVE_SERIES,
            Self::Query { .. } | Self::Number { .. } => TIGHTEST,
            Self::Negative { .. } => NEGATIVE_SERIES,
            Self::Binary { op, .. } => op.level(),
            Self::Narrowed { .. } => LOOSEST,
        }
    }

    fn is_prefixed(&self) -> bool {
        match self {
            Self::Negative { .. } => true,
            Self::Number { value, .. } => value.is_signed(),
            Self::Query { .. } | Self::Binary { .. } | Self::Narrowed { .. } => false,
        }
    }

    fn print_bare(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query { query, .. } => {
                f.write_char('(')?;
                query.print(place.parens, f)?;
                f.write_char(')')
            }
            Self::Number { value, .. } => value.fmt(f),
            Self::Negative { operand, .. } => {
                f.write_char('-')?;
                operand.print(
                    Place {
                        min: NEGATIVE_SERIES_OPERAND,
                        ..place
                    },
                    f,
                )
            }
            Self::Binary { op, lhs, rhs, .. } => {
                print_binary(*op, lhs.as_ref(), rhs.as_ref(), place, f)
            }
            Self::Narrowed {
                operand, stages, ..
            } => {
                operand.print(places(LOOSEST, true, place).0, f)?;
                stages.iter().try_for_each(|stage| stage.fmt(f))
            }
        }
    }
}

/// Where the two operands of an operator stand that itself stands in `place`.
const fn places(level: Level, is_right_associative: bool, place: Place) -> (Place, Place) {
    let (left, right) = if is_right_associative {
        (level + 1, level)
    } else {
        (level, level + 1)
    };
    let parens = place.parens;
    (
        Place {
            min: left,
            follow: level,
            parens,
        },
        Place {
            min: right,
            follow: place.follow,
            parens,
        },
    )
}

fn print_binary<T: Operand>(
    op: BinaryOp,
    lhs: &T,
    rhs: &T,
    place: Place,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    let (left, right) = places(op.level(), op.is_right_associative(), place);
    lhs.print(left, f)?;
    write!(f, " {op} ")?;
    rhs.print(right, f)
}

impl Operand for FieldExpr {
    fn level(&self) -> Level {
        match &self.kind {
            FieldExprKind::Literal(literal) if literal.is_signed() => UnaryOp::Neg.level(),
            FieldExprKind::Literal(_) | FieldExprKind::Attribute(_) => TIGHTEST,
            FieldExprKind::Unary { op, .. } => op.level(),
            FieldExprKind::Binary { op, .. } => op.level(),
            FieldExprKind::NilTest { .. } => NIL_TEST_LEVEL,
        }
    }

    fn is_prefixed(&self) -> bool {
        match &self.kind {
            FieldExprKind::Unary { .. } => true,
            FieldExprKind::Literal(literal) => literal.is_signed(),
            FieldExprKind::Attribute(_)
            | FieldExprKind::Binary { .. }
            | FieldExprKind::NilTest { .. } => false,
        }
    }

    fn print_bare(&self, place: Place, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FieldExprKind::Literal(literal) => literal.fmt(f),
            FieldExprKind::Attribute(attribute) => attribute.fmt(f),
            FieldExprKind::Unary { op, operand } => {
                op.fmt(f)?;
                operand.print(
                    Place {
                        min: op.level() + 1,
                        ..place
                    },
                    f,
                )
            }
            FieldExprKind::Binary { op, lhs, rhs } => {
                print_binary(*op, lhs.as_ref(), rhs.as_ref(), place, f)
            }
            FieldExprKind::NilTest { operand, is_nil } => {
                match operand {
                    Some(operand) => operand.print(places(NIL_TEST_LEVEL, false, place).0, f)?,
                    None => f.write_str("nil")?,
                }
                f.write_str(if *is_nil { " = nil" } else { " != nil" })
            }
        }
    }
}
