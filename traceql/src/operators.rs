//! How operators are written and how tightly they bind.

use std::fmt;

use crate::ast::{BinaryOp, ComparisonOp, Relation, SpansetOp, StructuralForm, UnaryOp};
use crate::lexer::Symbol;

/// Binding strength: operators with a higher level are applied first.
pub(crate) type Level = u8;

/// Looser than every operator.
pub(crate) const LOOSEST: Level = 1;

/// Tighter than every operator: what never needs parentheses.
pub(crate) const TIGHTEST: Level = 7;

/// The minus sign before series binds as in PromQL: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`.
pub(crate) const NEGATIVE_SERIES: Level = BinaryOp::Mul.level();

/// What stands after such a sign without parentheses.
pub(crate) const NEGATIVE_SERIES_OPERAND: Level = NEGATIVE_SERIES + 1;

impl BinaryOp {
    pub(crate) fn from_symbol(symbol: Symbol) -> Option<Self> {
        Some(match symbol {
            Symbol::Plus => Self::Add,
            Symbol::Minus => Self::Sub,
            Symbol::Star => Self::Mul,
            Symbol::Slash => Self::Div,
            Symbol::Percent => Self::Mod,
            Symbol::Caret => Self::Pow,
            Symbol::Eq => Self::Eq,
            Symbol::NotEq => Self::NotEq,
            Symbol::Lt => Self::Lt,
            Symbol::LtEq => Self::LtEq,
            Symbol::Gt => Self::Gt,
            Symbol::GtEq => Self::GtEq,
            Symbol::Regex => Self::Regex,
            Symbol::NotRegex => Self::NotRegex,
            Symbol::And => Self::And,
            Symbol::Or => Self::Or,
            _ => return None,
        })
    }

    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
            Self::And => "&&",
            Self::Or => "||",
        }
    }

    /// `&&` and `||` are on one level, unlike in most languages.
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::And | Self::Or => LOOSEST,
            Self::Eq
            | Self::NotEq
            | Self::Lt
            | Self::LtEq
            | Self::Gt
            | Self::GtEq
            | Self::Regex
            | Self::NotRegex => 2,
            Self::Add | Self::Sub => 3,
            Self::Mul | Self::Div | Self::Mod => 5,
            Self::Pow => 6,
        }
    }

    /// Whether `a op b op c` means `a op (b op c)`.
    pub(crate) const fn is_right_associative(self) -> bool {
        matches!(self, Self::Pow)
    }

    /// `+`, `-`, `*`, `/`, `%` and `^`; the others give booleans.
    #[must_use]
    pub const fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow
        )
    }

    /// `=`, `!=`, `<`, `<=`, `>` and `>=`: those that compare two values of one type. A regular
    /// expression is no value.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Eq | Self::NotEq | Self::Lt | Self::LtEq | Self::Gt | Self::GtEq
        )
    }

    /// The operator of the same comparison with its sides swapped: `a < b` is `b > a`. An operator
    /// that orders nothing stays as it is.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            other => other,
        }
    }
}

impl UnaryOp {
    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Neg => "-",
            Self::Not => "!",
        }
    }

    /// Minus binds like the binary one: `-a * b` is `-(a * b)`. Not binds between sums and products:
    /// `!a * b` is `!(a * b)`, and `!a = b` is `(!a) = b`.
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::Neg => 3,
            Self::Not => 4,
        }
    }
}

impl ComparisonOp {
    pub(crate) fn from_symbol(symbol: Symbol) -> Option<Self> {
        Some(match symbol {
            Symbol::Eq => Self::Eq,
            Symbol::NotEq => Self::NotEq,
            Symbol::Lt => Self::Lt,
            Symbol::LtEq => Self::LtEq,
            Symbol::Gt => Self::Gt,
            Symbol::GtEq => Self::GtEq,
            _ => return None,
        })
    }

    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }
}

impl From<ComparisonOp> for BinaryOp {
    fn from(op: ComparisonOp) -> Self {
        match op {
            ComparisonOp::Eq => Self::Eq,
            ComparisonOp::NotEq => Self::NotEq,
            ComparisonOp::Lt => Self::Lt,
            ComparisonOp::LtEq => Self::LtEq,
            ComparisonOp::Gt => Self::Gt,
            ComparisonOp::GtEq => Self::GtEq,
        }
    }
}

impl SpansetOp {
    pub(crate) fn from_symbol(symbol: Symbol) -> Option<Self> {
        use Relation as R;
        use StructuralForm as F;
        let structural = |form, relation| Some(Self::Structural { relation, form });
        match symbol {
            Symbol::And => Some(Self::And),
            Symbol::Or => Some(Self::Or),
            Symbol::Gt => structural(F::Plain, R::Child),
            Symbol::Lt => structural(F::Plain, R::Parent),
            Symbol::Descendant => structural(F::Plain, R::Descendant),
            Symbol::Ancestor => structural(F::Plain, R::Ancestor),
            Symbol::Sibling => structural(F::Plain, R::Sibling),
            Symbol::NotChild => structural(F::Negated, R::Child),
            Symbol::NotParent => structural(F::Negated, R::Parent),
            Symbol::NotDescendant => structural(F::Negated, R::Descendant),
            Symbol::NotAncestor => structural(F::Negated, R::Ancestor),
            Symbol::NotRegex => structural(F::Negated, R::Sibling),
            Symbol::UnionChild => structural(F::Union, R::Child),
            Symbol::UnionParent => structural(F::Union, R::Parent),
            Symbol::UnionDescendant => structural(F::Union, R::Descendant),
            Symbol::UnionAncestor => structural(F::Union, R::Ancestor),
            Symbol::UnionSibling => structural(F::Union, R::Sibling),
            _ => None,
        }
    }

    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        use Relation as R;
        use StructuralForm as F;
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Structural { relation, form } => match (form, relation) {
                (F::Plain, R::Child) => ">",
                (F::Plain, R::Parent) => "<",
                (F::Plain, R::Descendant) => ">>",
                (F::Plain, R::Ancestor) => "<<",
                (F::Plain, R::Sibling) => "~",
                (F::Negated, R::Child) => "!>",
                (F::Negated, R::Parent) => "!<",
                (F::Negated, R::Descendant) => "!>>",
                (F::Negated, R::Ancestor) => "!<<",
                (F::Negated, R::Sibling) => "!~",
                (F::Union, R::Child) => "&>",
                (F::Union, R::Parent) => "&<",
                (F::Union, R::Descendant) => "&>>",
                (F::Union, R::Ancestor) => "&<<",
                (F::Union, R::Sibling) => "&~",
            },
        }
    }

    /// `&&` and `||` are on one level, all structural operators on the next.
    pub(crate) const fn level(self) -> Level {
        match self {
            Self::And | Self::Or => LOOSEST,
            Self::Structural { .. } => 2,
        }
    }
}

macro_rules! display_as_str {
    ($($ty:ty),*) => {
        $(impl fmt::Display for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        })*
    };
}

display_as_str!(
    BinaryOp,
    UnaryOp,
    ComparisonOp,
    SpansetOp,
    crate::ast::Status,
    crate::ast::Kind,
    crate::ast::AggregateFunction,
    crate::dialect::Dialect
);

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    /// How the order of two values decides a comparison; `None` for what is no comparison.
    fn decided_by(op: BinaryOp, order: Ordering) -> Option<bool> {
        Some(match op {
            BinaryOp::Eq => order.is_eq(),
            BinaryOp::NotEq => order.is_ne(),
            BinaryOp::Lt => order.is_lt(),
            BinaryOp::LtEq => order.is_le(),
            BinaryOp::Gt => order.is_gt(),
            BinaryOp::GtEq => order.is_ge(),
            _ => return None,
        })
    }

    #[test]
    fn mirrored_comparisons_hold_for_swapped_sides() {
        let texts = "+ - * / % ^ = != < <= > >= =~ !~ && ||";
        for text in texts.split(' ') {
            let op = Symbol::from_text(text).and_then(BinaryOp::from_symbol);
            let op = op.expect(text);
            for order in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
                let swapped = decided_by(op.mirrored(), order.reverse());
                assert_eq!(decided_by(op, order), swapped, "{text}");
                assert_eq!(swapped.is_some(), op.is_comparison(), "{text}");
            }
            if !op.is_comparison() {
                assert_eq!(op.mirrored(), op);
            }
        }
    }
}
