//! Which parts of a block a query can do without, proven from the catalog alone.
//!
//! Pruning is an optimisation: whatever cannot be proven is kept.

use std::fmt;

use storage::block::meta::{AttributeScope, BlockMeta};
use storage::ids::TraceId;
use traceql::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Literal, Pipeline, Scope,
    SpansetExpr, SpansetOp, Stage, Status, StructuralForm, UnaryOp,
};

use crate::columns::stored_scopes;
use crate::grid::Grid;
use crate::plan::{MetricsPlan, Patterns, SearchPlan, SearchWindow, Selection, attribute_and_text};

/// Why a block has no span that the query selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneReason {
    /// The query selects nothing, whatever the data.
    Never,
    /// No span starts inside the query's window.
    Time,
    /// No span has an attribute that every selected span must have.
    Attribute(String),
    /// No span is of a service that every selected span must be of.
    Service(String),
    /// No span is of the trace that every selected span must be of.
    TraceId(String),
}

impl PruneReason {
    /// The reason without its details, for counting.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Time => "time",
            Self::Attribute(_) => "attribute",
            Self::Service(_) => "service",
            Self::TraceId(_) => "trace_id",
        }
    }
}

impl fmt::Display for PruneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("the query selects nothing"),
            Self::Time => f.write_str("no span starts in the time range"),
            Self::Attribute(name) => write!(f, "no span has {name}"),
            Self::Service(name) => write!(f, "no span of service {name:?}"),
            Self::TraceId(id) => write!(f, "no span of trace {id}"),
        }
    }
}

/// The row groups of a block that may hold selected spans, in order; or why none does.
///
/// # Errors
/// The reason why the whole block is pruned.
pub fn prune(
    plan: &MetricsPlan,
    grid: &Grid,
    block: &BlockMeta,
) -> Result<Vec<usize>, PruneReason> {
    if plan.is_never() {
        return Err(PruneReason::Never);
    }
    let overlaps = |first: i64, last: i64| last > grid.start_ns && first <= grid.end_ns();
    if !overlaps(block.min_start_ns, block.max_start_ns) {
        return Err(PruneReason::Time);
    }
    if let Some(reason) = nothing_selected(
        &plan.selection,
        &Known::of(block, &plan.patterns, &lacks(block)),
    ) {
        return Err(reason);
    }
    let kept: Vec<usize> = block
        .row_groups
        .iter()
        .enumerate()
        .filter(|(_, group)| overlaps(group.min_start_ns, group.max_start_ns))
        .map(|(index, _)| index)
        .collect();
    if kept.is_empty() && !block.row_groups.is_empty() {
        Err(PruneReason::Time)
    } else {
        Ok(kept)
    }
}

/// The row groups of a block that may hold traces that a search finds, in order; or why none does.
///
/// # Errors
/// The reason why the whole block is pruned.
pub fn prune_search(
    plan: &SearchPlan,
    window: SearchWindow,
    block: &BlockMeta,
) -> Result<Vec<usize>, PruneReason> {
    if !may_search(window, block) {
        return Err(PruneReason::Time);
    }
    if let Some(reason) = first_stage_empty(
        &plan.pipeline,
        &Known::of(block, &plan.patterns, &lacks(block)),
    ) {
        return Err(reason);
    }
    let groups = block.row_groups.iter().enumerate();
    let kept = groups.filter(|(_, group)| group.min_start_ns <= window.end_ns);
    let kept: Vec<usize> = kept.map(|(index, _)| index).collect();
    Ok(kept)
}

/// Whether a trace of a block may be under way in the window of a search, whatever its spans are.
#[must_use]
pub fn may_search(window: SearchWindow, block: &BlockMeta) -> bool {
    block.max_end_ns.max(block.max_start_ns) >= window.start_ns
        && block.min_start_ns <= window.end_ns
}

/// Whether a span of a block starts in the window of a query, whatever it is.
#[must_use]
pub fn may_count(grid: &Grid, block: &BlockMeta) -> bool {
    block.max_start_ns > grid.start_ns && block.min_start_ns <= grid.end_ns()
}

/// Whether few spans can be expected to pass the filters of a query: those of one trace, or failed
/// ones, which are the exception wherever spans come from.
pub(crate) fn picks_few(plan: &MetricsPlan) -> bool {
    let Selection::Spans(filters) = &plan.selection else {
        return false;
    };
    filters.iter().flat_map(conjuncts).any(|condition| {
        let FieldExprKind::Binary {
            op: BinaryOp::Eq,
            lhs,
            rhs,
        } = &condition.kind
        else {
            return false;
        };
        let is_error = |side: &FieldExpr| {
            matches!(
                side.kind,
                FieldExprKind::Literal(Literal::Status(Status::Error))
            )
        };
        let is_one_of = |side: &FieldExpr, wanted: &[Intrinsic]| {
            matches!(
                &side.kind,
                FieldExprKind::Attribute(Attribute::Intrinsic {
                    intrinsic,
                    of_parent: false,
                }) if wanted.contains(intrinsic)
            )
        };
        let either = |of: &dyn Fn(&FieldExpr) -> bool| of(lhs) || of(rhs);
        either(&|side| is_one_of(side, &[Intrinsic::TraceId, Intrinsic::SpanId]))
            || (either(&|side| is_one_of(side, &[Intrinsic::Status])) && either(&is_error))
    })
}

/// What is known of a block.
struct Known<'a> {
    block: &'a BlockMeta,
    /// The regular expressions of the query.
    patterns: &'a Patterns,
    /// Which traces are not in the block for certain.
    lacks: &'a dyn Fn(TraceId) -> bool,
}

impl<'a> Known<'a> {
    fn of(
        block: &'a BlockMeta,
        patterns: &'a Patterns,
        lacks: &'a dyn Fn(TraceId) -> bool,
    ) -> Self {
        Self {
            block,
            patterns,
            lacks,
        }
    }
}

/// Which traces are not in a block for certain, by its description.
fn lacks(block: &BlockMeta) -> impl Fn(TraceId) -> bool {
    let partition = block.partition;
    move |id| partition.is_some_and(|partition| !partition.piece.holds(id))
}

/// Whether a metrics query selects nothing of a block that `lacks` some traces.
pub(crate) fn is_without(
    plan: &MetricsPlan,
    block: &BlockMeta,
    lacks: &dyn Fn(TraceId) -> bool,
) -> bool {
    nothing_selected(&plan.selection, &Known::of(block, &plan.patterns, lacks)).is_some()
}

/// The same of a search.
pub(crate) fn is_search_without(
    plan: &SearchPlan,
    block: &BlockMeta,
    lacks: &dyn Fn(TraceId) -> bool,
) -> bool {
    first_stage_empty(&plan.pipeline, &Known::of(block, &plan.patterns, lacks)).is_some()
}

/// Why nothing of the block is selected, if that is certain.
fn nothing_selected(selection: &Selection, known: &Known<'_>) -> Option<PruneReason> {
    match selection {
        Selection::Spans(filters) => {
            // A query that fails on some span fails wherever that is, so nothing may hide the span.
            if filters.iter().any(may_fail) {
                return None;
            }
            filters.iter().find_map(|filter| unmet(filter, known))
        }
        Selection::Traces(pipeline) => first_stage_empty(pipeline, known),
    }
}

/// Why the first stage of a pipeline selects nothing, if that is certain. It meets every span of a
/// trace, later stages only what it leaves.
fn first_stage_empty(pipeline: &Pipeline, known: &Known<'_>) -> Option<PruneReason> {
    match pipeline.stages.first() {
        Some(Stage::Spansets(expr)) if !any_may_fail(expr) => empty(expr, known),
        _ => None,
    }
}

/// Why an expression selects nothing in any trace of the block, if that is certain.
fn empty(expr: &SpansetExpr, known: &Known<'_>) -> Option<PruneReason> {
    match expr {
        SpansetExpr::Filter { condition, .. } => unmet(condition.as_ref()?, known),
        SpansetExpr::Binary { op, lhs, rhs, .. } => match op {
            SpansetOp::Or => empty(lhs, known).and(empty(rhs, known)),
            SpansetOp::Structural {
                form: StructuralForm::Negated,
                ..
            } => empty(rhs, known),
            SpansetOp::And | SpansetOp::Structural { .. } => {
                empty(lhs, known).or_else(|| empty(rhs, known))
            }
        },
        SpansetExpr::Pipeline { pipeline, .. } => first_stage_empty(pipeline, known),
    }
}

/// Whether a condition of an expression could fail.
fn any_may_fail(expr: &SpansetExpr) -> bool {
    match expr {
        SpansetExpr::Filter { condition, .. } => condition.as_ref().is_some_and(may_fail),
        SpansetExpr::Binary { lhs, rhs, .. } => any_may_fail(lhs) || any_may_fail(rhs),
        // What stands behind its first stage, or being several spansets, may fail, too.
        SpansetExpr::Pipeline { .. } => true,
    }
}

/// Why no span of the block meets `condition`, if that is certain.
fn unmet(condition: &FieldExpr, known: &Known<'_>) -> Option<PruneReason> {
    conjuncts(condition)
        .into_iter()
        .find_map(|condition| contradiction(condition, known))
}

/// The conditions that are all necessary for `expr`.
fn conjuncts(expr: &FieldExpr) -> Vec<&FieldExpr> {
    match &expr.kind {
        FieldExprKind::Binary {
            op: BinaryOp::And,
            lhs,
            rhs,
        } => {
            let mut all = conjuncts(lhs);
            all.extend(conjuncts(rhs));
            all
        }
        _ => vec![expr],
    }
}

/// Why no span of the block meets one of the conditions of a conjunction, if that is certain.
fn contradiction(condition: &FieldExpr, known: &Known<'_>) -> Option<PruneReason> {
    match &condition.kind {
        FieldExprKind::Binary { op, lhs, rhs } if is_test(*op) => by_value(*op, lhs, rhs, known)
            .or_else(|| missing(lhs, known.block))
            .or_else(|| missing(rhs, known.block)),
        FieldExprKind::NilTest {
            operand: Some(operand),
            is_nil: false,
        } => missing(operand, known.block),
        FieldExprKind::Attribute(_) => missing(condition, known.block),
        _ => None,
    }
}

/// Operators that are false where a side is absent.
const fn is_test(op: BinaryOp) -> bool {
    !op.is_arithmetic() && !matches!(op, BinaryOp::And | BinaryOp::Or)
}

/// An attribute that no span of the block has.
fn missing(expr: &FieldExpr, block: &BlockMeta) -> Option<PruneReason> {
    let FieldExprKind::Attribute(attribute) = &expr.kind else {
        return None;
    };
    let Attribute::Key {
        scope,
        of_parent: false,
        key,
    } = attribute
    else {
        return None;
    };
    if *scope == Scope::Resource && key == "service.name" {
        return None;
    }
    let listed = |scope: &AttributeScope| block.attribute(*scope, key).is_some();
    let absent = block.attributes_complete && !stored_scopes(*scope).iter().any(listed);
    absent.then(|| PruneReason::Attribute(attribute.canonical()))
}

/// `resource.service.name = "…"` and `trace:id = "…"`.
fn by_value(
    op: BinaryOp,
    lhs: &FieldExpr,
    rhs: &FieldExpr,
    known: &Known<'_>,
) -> Option<PruneReason> {
    let (attribute, text) = attribute_and_text(lhs, rhs)?;
    match (attribute, op) {
        (
            Attribute::Key {
                scope: Scope::Resource,
                of_parent: false,
                key,
            },
            BinaryOp::Eq,
        ) if key == "service.name" => {
            let services = known.block.services.as_ref()?;
            services
                .binary_search_by(|service| (**service).cmp(text))
                .is_err()
                .then(|| PruneReason::Service(text.clone()))
        }
        (
            Attribute::Key {
                scope: Scope::Resource,
                of_parent: false,
                key,
            },
            BinaryOp::Regex,
        ) if key == "service.name" => {
            let services = known.block.services.as_ref()?;
            let regex = known.patterns.get(text)?;
            (!services.iter().any(|service| regex.is_match(service)))
                .then(|| PruneReason::Service(text.clone()))
        }
        (
            Attribute::Intrinsic {
                intrinsic: Intrinsic::TraceId,
                of_parent: false,
            },
            BinaryOp::Eq,
        ) => {
            let id = parse_trace_id(text)?;
            (known.lacks)(id).then(|| PruneReason::TraceId(text.clone()))
        }
        _ => None,
    }
}

fn parse_trace_id(text: &str) -> Option<TraceId> {
    let number = u128::from_str_radix(text, 16).ok()?;
    Some(TraceId(number.to_be_bytes()))
}

/// Whether evaluating `expr` could fail on a span of some type, wherever it is.
fn may_fail(expr: &FieldExpr) -> bool {
    match &expr.kind {
        FieldExprKind::Literal(_) | FieldExprKind::Attribute(_) => false,
        FieldExprKind::Unary {
            op: UnaryOp::Neg, ..
        } => true,
        FieldExprKind::Unary {
            op: UnaryOp::Not,
            operand,
        } => matches!(operand.kind, FieldExprKind::Attribute(_)) || may_fail(operand),
        FieldExprKind::NilTest { operand, .. } => {
            operand.as_ref().is_some_and(|operand| may_fail(operand))
        }
        FieldExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            lhs,
            rhs,
        } => may_fail(lhs) || may_fail(rhs),
        FieldExprKind::Binary { op, lhs, rhs } => {
            let constant = |expr: &FieldExpr| matches!(expr.kind, FieldExprKind::Literal(_));
            op.is_arithmetic()
                || !(constant(lhs) || constant(rhs))
                || may_fail(lhs)
                || may_fail(rhs)
        }
    }
}
