//! Which spans a query selects, and what it has to see for that.

use traceql::Dialect;
use traceql::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Literal, Pipeline, SpansetExpr,
    SpansetOp, Stage, StructuralForm,
};

/// Which spans a query selects.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Those that meet conditions by themselves, all of them.
    Spans(Vec<FieldExpr>),
    /// Those that stages over whole traces leave.
    Traces(Pipeline),
}

impl Selection {
    /// What the stages of a pipeline need to see. `needs_traces`: what follows them needs whole
    /// traces.
    pub(crate) fn of(pipeline: &Pipeline, dialect: Dialect, needs_traces: bool) -> Self {
        let mut conditions = Vec::new();
        for stage in &pipeline.stages {
            match stage {
                Stage::Spansets(SpansetExpr::Filter { condition, .. }) => {
                    conditions.extend(condition.clone());
                }
                // Selecting attributes adds nothing to which spans are meant.
                Stage::Select(_) => {}
                _ => return Self::Traces(pipeline.clone()),
            }
        }
        if needs_traces || conditions.iter().any(|it| looks_around(it, dialect)) {
            return Self::Traces(pipeline.clone());
        }
        Self::Spans(conditions)
    }

    /// Whether which spans are selected depends on seeing all spans of a trace together.
    pub(super) fn needs_whole_traces(&self) -> bool {
        match self {
            Self::Spans(conditions) => {
                let mut attributes = conditions.iter().flat_map(FieldExpr::attributes);
                attributes.any(is_of_trace)
            }
            Self::Traces(_) => true,
        }
    }

    /// Whether no span can ever be selected, whatever the data.
    #[must_use]
    pub fn is_never(&self) -> bool {
        match self {
            Self::Spans(conditions) => conditions.iter().any(is_false),
            Self::Traces(pipeline) => is_never(pipeline),
        }
    }
}

/// Whether a pipeline selects nothing, whatever the data.
pub(super) fn is_never(pipeline: &Pipeline) -> bool {
    let nothing = |stage: &Stage| matches!(stage, Stage::Spansets(expr) if selects_nothing(expr));
    pipeline.stages.iter().any(nothing)
}

fn is_false(condition: &FieldExpr) -> bool {
    condition.kind == FieldExprKind::Literal(Literal::Bool(false))
}

/// Whether an expression is a constant that selects nothing.
fn selects_nothing(expr: &SpansetExpr) -> bool {
    match expr {
        SpansetExpr::Filter { condition, .. } => condition.as_ref().is_some_and(is_false),
        SpansetExpr::Binary { op, lhs, rhs, .. } => {
            let (lhs, rhs) = (selects_nothing(lhs), selects_nothing(rhs));
            match op {
                SpansetOp::Or => lhs && rhs,
                SpansetOp::Structural {
                    form: StructuralForm::Negated,
                    ..
                } => rhs,
                SpansetOp::And | SpansetOp::Structural { .. } => lhs || rhs,
            }
        }
        SpansetExpr::Pipeline { pipeline, .. } => is_never(pipeline),
    }
}

/// Whether an attribute takes a look at other spans of the trace: those that a block has no column
/// for.
pub(super) fn needs_trace(attribute: &Attribute, dialect: Dialect) -> bool {
    *attribute == Attribute::of_span(Intrinsic::NestedSetParent)
        || dialect == Dialect::Spandrel
            && (attribute.is_of_parent()
                || *attribute == Attribute::of_span(Intrinsic::Parent)
                || *attribute == Attribute::of_span(Intrinsic::SpanSelfTime))
}

/// Whether a condition on a span takes a look at other spans of the trace.
pub(super) fn looks_around(condition: &FieldExpr, dialect: Dialect) -> bool {
    match &condition.kind {
        FieldExprKind::Literal(_) => false,
        FieldExprKind::Attribute(attribute) => needs_trace(attribute, dialect),
        FieldExprKind::Unary { operand, .. } => looks_around(operand, dialect),
        FieldExprKind::Binary { op, lhs, rhs } => {
            DepthTest::of(*op, lhs, rhs).is_none()
                && (looks_around(lhs, dialect) || looks_around(rhs, dialect))
        }
        FieldExprKind::NilTest { operand, .. } => operand
            .as_ref()
            .is_some_and(|operand| looks_around(operand, dialect)),
    }
}

/// Whether an attribute of a span follows from all spans of its trace.
pub(super) fn is_of_trace(attribute: &Attribute) -> bool {
    attribute.is_of_parent()
        || matches!(
            attribute,
            Attribute::Intrinsic {
                intrinsic: Intrinsic::Parent
                    | Intrinsic::SpanChildCount
                    | Intrinsic::SpanSelfTime
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent,
                ..
            }
        )
}

/// A comparison of `nestedSetParent` with a number, as a test of a span's depth alone: which span is
/// the parent does not matter where it is compared with a number that none has. It is how Grafana asks
/// for roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DepthTest {
    /// Whether the comparison holds for a root, whose depth is 1.
    pub(crate) root: bool,
    /// Whether it holds for a span that no root leads to, whose depth is 0.
    pub(crate) unreached: bool,
    /// Whether it holds for all others.
    pub(crate) other: bool,
}

impl DepthTest {
    /// The test that `lhs op rhs` comes to, if it is such a comparison.
    pub(crate) fn of(op: BinaryOp, lhs: &FieldExpr, rhs: &FieldExpr) -> Option<Self> {
        let (op, number) = match (&lhs.kind, &rhs.kind) {
            (FieldExprKind::Attribute(attribute), number) if is_parent(attribute) => (op, number),
            (number, FieldExprKind::Attribute(attribute)) if is_parent(attribute) => {
                (op.mirrored(), number)
            }
            _ => return None,
        };
        let FieldExprKind::Literal(Literal::Int(number)) = number else {
            return None;
        };
        if *number > 0 {
            return None;
        }
        let holds = |parent: &i64| {
            Some(match op {
                BinaryOp::Eq => parent == number,
                BinaryOp::NotEq => parent != number,
                BinaryOp::Lt => parent < number,
                BinaryOp::LtEq => parent <= number,
                BinaryOp::Gt => parent > number,
                BinaryOp::GtEq => parent >= number,
                _ => return None,
            })
        };
        Some(Self {
            root: holds(&-1)?,
            unreached: holds(&0)?,
            other: holds(&1)?,
        })
    }
}

fn is_parent(attribute: &Attribute) -> bool {
    *attribute == Attribute::of_span(Intrinsic::NestedSetParent)
}

/// The two sides of a comparison of an attribute with a text, whichever way round.
pub(crate) fn attribute_and_text<'a>(
    lhs: &'a FieldExpr,
    rhs: &'a FieldExpr,
) -> Option<(&'a Attribute, &'a String)> {
    let ((FieldExprKind::Attribute(attribute), FieldExprKind::Literal(Literal::String(text)))
    | (FieldExprKind::Literal(Literal::String(text)), FieldExprKind::Attribute(attribute))) =
        (&lhs.kind, &rhs.kind)
    else {
        return None;
    };
    Some((attribute, text))
}
