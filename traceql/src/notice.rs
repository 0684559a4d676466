//! What is worth knowing about a query that is valid all the same.

use std::fmt;

use crate::ast::{
    Body, Hint, Literal, MetricsExpr, Pipeline, Query, ScalarExpr, SpansetExpr, SpansetOp, Stage,
};
use crate::dialect::Dialect;
use crate::text_range::TextRange;

/// A remark on a valid query. [`Position::of`](crate::Position::of) the start of its range is where
/// it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What is worth knowing.
    pub kind: NoticeKind,
    /// Which part of the text it is about.
    pub range: TextRange,
}

/// The kinds of notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// `{…} || {…} && {…}` without parentheses.
    MixedLogic,
    /// A hint of a name that is none.
    UnknownHint,
    /// A hint with a value of another type than it takes.
    HintType,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            NoticeKind::MixedLogic => {
                "&& and || between spansets bind equally and are read from left to right, \
                 parentheses make that plain"
            }
            NoticeKind::UnknownHint => "no hint has this name, it has no effect",
            NoticeKind::HintType => "the hint takes no value of this type, it has no effect",
        })
    }
}

/// The notices on a parsed query, in the order of the text; none in Tempo's dialect.
///
/// Whether something stands in parentheses is read from the ranges of the tree, so a tree that was
/// not parsed from text has none.
#[must_use]
pub fn notices(query: &Query) -> Vec<Notice> {
    let mut found = Vec::new();
    if query.dialect == Dialect::Tempo {
        return found;
    }
    match &query.body {
        Body::Search(pipeline) => of_pipeline(pipeline, &mut found),
        Body::PipelineExpr(spansets) => of_spansets(spansets, false, &mut found),
        Body::ScalarPipelineFilter(filter) => {
            of_scalar(&filter.lhs, &mut found);
            of_scalar(&filter.rhs, &mut found);
        }
        Body::Metrics(metrics) => of_pipeline(&metrics.pipeline, &mut found),
        Body::MetricsExpr(expr) => of_metrics_expr(expr, &mut found),
    }
    found.extend(query.hints.iter().filter_map(of_hint));
    found
}

/// The hints of the language, some of which have an effect in Tempo only, and the types that they take.
fn of_hint(hint: &Hint) -> Option<Notice> {
    let value = &hint.value;
    let is_number = || matches!(value, Literal::Int(_) | Literal::Float(_));
    let takes = match hint.name.as_str() {
        "exemplars" => Some(matches!(value, Literal::Int(_) | Literal::Bool(_))),
        "quantile" | "skip_ast_transformations" => Some(matches!(value, Literal::String(_))),
        "most_recent" | "spanonly_fetch" | "debug" | "info" => {
            Some(matches!(value, Literal::Bool(_)))
        }
        "sample" => Some(is_number() || matches!(value, Literal::Bool(_))),
        "job_size" => Some(matches!(value, Literal::Int(_))),
        "span_sample" | "trace_sample" | "time_overlap_cutoff" | "debug_data_factor" => {
            Some(is_number())
        }
        "debug_return_in" | "debug_std_dev" => Some(matches!(value, Literal::Duration(_))),
        "concurrent_blocks" => Some(true),
        _ => None,
    };
    let kind = match takes {
        Some(true) => return None,
        Some(false) => NoticeKind::HintType,
        None => NoticeKind::UnknownHint,
    };
    let range = hint.range;
    Some(Notice { kind, range })
}

fn of_pipeline(pipeline: &Pipeline, found: &mut Vec<Notice>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Spansets(spansets) => of_spansets(spansets, false, found),
            Stage::ScalarFilter(_) | Stage::GroupBy(_) | Stage::Coalesce(_) | Stage::Select(_) => {}
        }
    }
}

fn of_scalar(scalar: &ScalarExpr, found: &mut Vec<Notice>) {
    match scalar {
        ScalarExpr::Pipeline { pipeline, .. } => of_pipeline(pipeline, found),
        ScalarExpr::Binary { lhs, rhs, .. } => {
            of_scalar(lhs, found);
            of_scalar(rhs, found);
        }
        ScalarExpr::Aggregate(_) | ScalarExpr::Number { .. } | ScalarExpr::Literal { .. } => {}
    }
}

fn of_metrics_expr(expr: &MetricsExpr, found: &mut Vec<Notice>) {
    match expr {
        MetricsExpr::Query { query, .. } => of_pipeline(&query.pipeline, found),
        MetricsExpr::Number { .. } => {}
        MetricsExpr::Negative { operand, .. } | MetricsExpr::Narrowed { operand, .. } => {
            of_metrics_expr(operand, found);
        }
        MetricsExpr::Binary { lhs, rhs, .. } => {
            of_metrics_expr(lhs, found);
            of_metrics_expr(rhs, found);
        }
    }
}

/// A chain of `&&` and `||` gets one notice, however often it changes between them; `is_reported`
/// tells whether the chain that goes on here has its own.
fn of_spansets(spansets: &SpansetExpr, is_reported: bool, found: &mut Vec<Notice>) {
    match spansets {
        SpansetExpr::Filter { .. } => {}
        SpansetExpr::Pipeline { pipeline, .. } => of_pipeline(pipeline, found),
        SpansetExpr::Binary {
            op,
            lhs,
            rhs,
            range,
        } => {
            let before = logic_without_parentheses(lhs);
            let is_chain = is_logic(*op) && before.is_some();
            let is_mixed = is_chain && before != Some(*op);
            if is_mixed && !is_reported {
                found.push(Notice {
                    kind: NoticeKind::MixedLogic,
                    range: *range,
                });
            }
            of_spansets(lhs, is_chain && (is_reported || is_mixed), found);
            of_spansets(rhs, false, found);
        }
    }
}

fn is_logic(op: SpansetOp) -> bool {
    matches!(op, SpansetOp::And | SpansetOp::Or)
}

fn logic_without_parentheses(spansets: &SpansetExpr) -> Option<SpansetOp> {
    match spansets {
        SpansetExpr::Binary { op, lhs, range, .. }
            if is_logic(*op) && range.start == lhs.range().start =>
        {
            Some(*op)
        }
        SpansetExpr::Binary { .. } | SpansetExpr::Filter { .. } | SpansetExpr::Pipeline { .. } => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse, parse_with};

    fn noticed(text: &str) -> Vec<&str> {
        let found = notices(&parse(text).unwrap());
        let ranges = found.iter().map(|notice| notice.range);
        ranges.map(|range| &text[range.start..range.end]).collect()
    }

    #[test]
    fn mixed_logic_is_noticed_once_a_chain() {
        for (text, expected) in [
            ("{.a} || {.b} && {.c}", &["{.a} || {.b} && {.c}"] as &[_]),
            (
                "{.a} && {.b} || {.c} && {.d}",
                &["{.a} && {.b} || {.c} && {.d}"],
            ),
            ("{.a} && {.b} || {.c} || {.d}", &["{.a} && {.b} || {.c}"]),
            (
                "{.a} >> {.b} || {.c} && {.d}",
                &["{.a} >> {.b} || {.c} && {.d}"],
            ),
            ("{.a} | {.b} || {.c} && {.d}", &["{.b} || {.c} && {.d}"]),
            ("({.a} || {.b} && {.c}) > {.d}", &["({.a} || {.b} && {.c})"]),
            ("({.a}) || {.b} && {.c}", &["({.a}) || {.b} && {.c}"]),
            (
                "({.a} | by(.x)) || ({.b} || {.c} && {.d}) && ({.e})",
                &[
                    "({.a} | by(.x)) || ({.b} || {.c} && {.d}) && ({.e})",
                    "({.b} || {.c} && {.d})",
                ],
            ),
            (
                "({.a} || {.b} && {.c} | count()) > 1",
                &["{.a} || {.b} && {.c}"],
            ),
            (
                "({.a} || {.b} && {.c} | rate()) / 2",
                &["{.a} || {.b} && {.c}"],
            ),
            ("{.a} || {.b} && {.c} | rate()", &["{.a} || {.b} && {.c}"]),
            ("({.a} || {.b}) && {.c}", &[]),
            ("{.a} || ({.b} && {.c})", &[]),
            ("({.a} && {.b}) || {.c} || {.d}", &[]),
            ("(({.a} | by(.x)) || ({.b})) && ({.c})", &[]),
            ("{.a} || {.b} || {.c}", &[]),
            ("{.a || .b && .c}", &[]),
        ] {
            assert_eq!(noticed(text), expected, "{text}");
        }
    }

    #[test]
    fn hints_without_effect_are_noticed() {
        for (hints, expected) in [
            ("exemplars=5", &[] as &[_]),
            ("exemplars=false", &[]),
            ("sample=true, span_sample=0.1, most_recent=true", &[]),
            ("quantile=\"log2\", concurrent_blocks=\"x\"", &[]),
            ("exemplars=1.5", &["exemplars=1.5"]),
            ("exemplars=\"a\", x=1", &["exemplars=\"a\"", "x=1"]),
            ("exemplar=5", &["exemplar=5"]),
            ("x=1) with (exemplars=5", &[]),
        ] {
            let text = format!("{{ }} | rate() with ({hints})");
            assert_eq!(noticed(&text), expected, "{text}");
        }
        let both = "{.a} || {.b} && {.c} | rate() with (x=1)";
        assert_eq!(noticed(both), ["{.a} || {.b} && {.c}", "x=1"]);
    }

    #[test]
    fn tempo_has_no_notices() {
        let query = parse_with("{.a} || {.b} && {.c}", &Dialect::Tempo.into()).unwrap();
        assert_eq!(notices(&query), []);
    }
}
