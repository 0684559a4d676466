//! Operators, by what they combine.

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-e`
    Neg,
    /// `!e`
    Not,
}

/// Infix operators of field and scalar expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants say their operator")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
    And,
    Or,
}

/// Comparisons of scalar and metrics filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants say their operator")]
pub enum ComparisonOp {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// Spanset operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpansetOp {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `>`, `!>`, `&>`, …
    Structural {
        /// Which relation between the two sides.
        relation: Relation,
        /// Plain, negated or union form.
        form: StructuralForm,
    },
}

/// How a span of the right side relates to one of the left side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `>`: right is a child of left.
    Child,
    /// `<`: right is the parent of left.
    Parent,
    /// `>>`: right is a descendant of left.
    Descendant,
    /// `<<`: right is an ancestor of left.
    Ancestor,
    /// `~`: right is a sibling of left.
    Sibling,
}

/// The three forms of a structural operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StructuralForm {
    /// `>`: spans of the right side for which the relation holds.
    Plain,
    /// `!>`: spans of the right side for which it holds with no span of the left.
    Negated,
    /// `&>`: the members of all related pairs, from both sides.
    Union,
}
