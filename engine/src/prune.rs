//! Which parts of a block a query can do without, proven from the catalog alone.
//!
//! Pruning is an optimisation: whatever cannot be proven is kept.

use std::collections::BTreeSet;
use std::fmt;

use storage::block::meta::{AttributeScope, BlockMeta};
use storage::ids::TraceId;
use traceql::ast::{Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Scope, UnaryOp};

use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::lower::expression::{attribute_and_text, is_arithmetic};
use crate::lower::lower;
use crate::plan::MetricsPlan;

/// Why a block has no span that the query selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneReason {
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
    let overlaps = |first: i64, last: i64| last > grid.start_ns && first <= grid.end_ns();
    if !overlaps(block.min_start_ns, block.max_start_ns) {
        return Err(PruneReason::Time);
    }
    // A query that fails on some span fails wherever that span is, so nothing may hide the span.
    if !plan.filters.iter().any(may_fail) {
        for condition in plan.filters.iter().flat_map(conjuncts) {
            if let Some(reason) = contradiction(condition, block) {
                return Err(reason);
            }
        }
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

/// Compressed bytes that the query reads from each of these row groups of a block.
#[must_use]
pub fn bytes_to_read(
    plan: &MetricsPlan,
    grid: &Grid,
    block: &BlockMeta,
    row_groups: &[usize],
) -> Vec<u64> {
    let no_limit = MemoryLimit {
        bytes: u64::MAX,
        key: "",
    };
    // A query that cannot be lowered reads nothing: its job will say why.
    let names = lower(plan, grid, block, no_limit)
        .map_or_else(|_| BTreeSet::new(), |lowered| lowered.columns());
    let read: Vec<_> = block
        .columns
        .iter()
        .filter(|column| names.contains(&column.name))
        .collect();
    let bytes = |&group: &usize| {
        let of_group = read
            .iter()
            .filter_map(|column| column.compressed_bytes.get(group));
        of_group.sum()
    };
    row_groups.iter().map(bytes).collect()
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

/// Why no span of the block meets `condition`, if that is certain.
fn contradiction(condition: &FieldExpr, block: &BlockMeta) -> Option<PruneReason> {
    match &condition.kind {
        FieldExprKind::Binary { op, lhs, rhs } if is_test(*op) => by_value(*op, lhs, rhs, block)
            .or_else(|| missing(lhs, block))
            .or_else(|| missing(rhs, block)),
        FieldExprKind::NilTest {
            operand: Some(operand),
            is_nil: false,
        } => missing(operand, block),
        FieldExprKind::Attribute(_) => missing(condition, block),
        _ => None,
    }
}

/// Operators that are false where a side is absent.
const fn is_test(op: BinaryOp) -> bool {
    !is_arithmetic(op) && !matches!(op, BinaryOp::And | BinaryOp::Or)
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
    let scopes: &[AttributeScope] = match scope {
        Scope::Resource if key == "service.name" => return None,
        Scope::Unscoped => &[AttributeScope::Span, AttributeScope::Resource],
        Scope::Span => &[AttributeScope::Span],
        Scope::Resource => &[AttributeScope::Resource],
        Scope::Event => &[AttributeScope::Event],
        Scope::Link => &[AttributeScope::Link],
        Scope::Instrumentation => &[AttributeScope::Instrumentation],
    };
    let listed = |scope: &AttributeScope| {
        block
            .attributes
            .binary_search_by(|a| (a.scope, a.key.as_str()).cmp(&(*scope, key.as_str())))
            .is_ok()
    };
    let absent = block.attributes_complete && !scopes.iter().any(listed);
    absent.then(|| PruneReason::Attribute(attribute.canonical()))
}

/// `resource.service.name = "…"` and `trace:id = "…"`.
fn by_value(
    op: BinaryOp,
    lhs: &FieldExpr,
    rhs: &FieldExpr,
    block: &BlockMeta,
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
            let services = block.services.as_ref()?;
            services
                .binary_search(text)
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
            let services = block.services.as_ref()?;
            let regex = traceql::compile_regex(text).ok()?;
            (!services.iter().any(|service| regex.is_match(service)))
                .then(|| PruneReason::Service(text.clone()))
        }
        (Attribute::Intrinsic(Intrinsic::TraceId), BinaryOp::Eq) => {
            let id = parse_trace_id(text)?;
            let known = !block.trace_ids.bits.is_empty();
            (known && !block.trace_ids.contains(id)).then(|| PruneReason::TraceId(text.clone()))
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
            is_arithmetic(*op)
                || !(constant(lhs) || constant(rhs))
                || may_fail(lhs)
                || may_fail(rhs)
        }
    }
}
