//! The spansets that a query selects in one trace.
//!
//! A pipeline starts with one spanset, which holds spans of one trace, and every stage makes a list
//! of spansets from a list of spansets. Where the definition leaves room:
//!
//! - Both operands of an operator are always evaluated, so an error in either is an error.
//! - The spanset that an operator yields has the attributes of its input; what was computed inside
//!   an operand belongs to that operand.

use std::collections::BTreeSet;

use traceql::Dialect;
use traceql::ast::{
    Attribute, Body, FieldExpr, Intrinsic, MetricsQuery, MetricsStage, Pipeline, Query,
    SpansetExpr, SpansetOp, Stage, StructuralForm,
};

use super::attributes::SpanView;
use super::error::{EvalError, RuntimeError};
use super::expression::Evaluator;
use super::relation::join;
use super::scalar;
use super::series::NIL;
use super::trace::Trace;
use super::value::Value;

/// Some spans of one trace, never none.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanset {
    /// Indexes of the spans in the trace, ascending.
    pub spans: Vec<usize>,
    /// What `by(…)` and aggregates found, by name, in the order of the pipeline.
    pub attributes: Vec<(String, Value)>,
}

/// What a query selects, ready to be asked trace by trace.
#[derive(Debug)]
pub struct Selection {
    pipeline: Pipeline,
    is_span_local: bool,
    evaluator: Evaluator,
}

impl Selection {
    /// What the query selects; of a metrics query, what its pipeline does.
    ///
    /// # Errors
    /// Arithmetic on series selects nothing itself.
    pub fn of(query: &Query) -> Result<Self, EvalError> {
        let of_stage = |stage| Pipeline {
            stages: vec![stage],
        };
        let pipeline = match &query.body {
            Body::Search(pipeline) => pipeline.clone(),
            Body::Metrics(metrics) => return Ok(Self::of_metrics(metrics, query.dialect)),
            Body::PipelineExpr(expr) => of_stage(Stage::Spansets(expr.clone())),
            Body::ScalarPipelineFilter(filter) => of_stage(Stage::ScalarFilter(filter.clone())),
            Body::MetricsExpr(_) => return Err(EvalError::NoSearch),
        };
        Ok(Self {
            is_span_local: has_only_filters(&pipeline),
            pipeline,
            evaluator: Evaluator::new(query.dialect),
        })
    }

    /// What the pipeline of a metrics query selects.
    #[must_use]
    pub fn of_metrics(metrics: &MetricsQuery, dialect: Dialect) -> Self {
        let mut used = match &metrics.stage {
            MetricsStage::Aggregate(stage) => {
                let used = stage.argument.iter().chain(&stage.by);
                used.map(|used| &used.attribute).collect()
            }
            MetricsStage::Compare(stage) => {
                let condition = stage.selection.iter();
                condition.flat_map(|it| it.attributes()).collect::<Vec<_>>()
            }
        }
        .into_iter();
        Self {
            is_span_local: has_only_filters(&metrics.pipeline) && !used.any(is_of_other_spans),
            pipeline: metrics.pipeline.clone(),
            evaluator: Evaluator::new(dialect),
        }
    }

    /// The attributes it names, in the order in which it first names them.
    #[must_use]
    pub fn attributes(&self) -> Vec<&Attribute> {
        let mut once = Vec::new();
        for name in self.pipeline.attributes() {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        once
    }

    /// Evaluates field expressions as the selection does.
    #[must_use]
    pub fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// Whether the query can be answered span by span, so that spans outside its window do not
    /// matter.
    ///
    /// The numbers of the tree belong to each span as its name does. The parent span and what is
    /// left of a span by its children do not: for them the other spans have to be there.
    #[must_use]
    pub fn is_span_local(&self) -> bool {
        self.is_span_local
    }

    /// The spansets of a trace in which nothing but `spans` is looked at.
    ///
    /// # Errors
    /// An operator fails on a span it is evaluated on, or on the trace.
    pub fn spansets(
        &self,
        trace: &Trace<'_>,
        spans: Vec<usize>,
    ) -> Result<Vec<Spanset>, RuntimeError> {
        if spans.is_empty() {
            return Ok(Vec::new());
        }
        let input = Spanset {
            spans,
            attributes: Vec::new(),
        };
        self.stages(&self.pipeline, trace, vec![input])
    }

    /// [`Self::spansets`] of all spans of the trace.
    ///
    /// # Errors
    /// As for [`Self::spansets`].
    pub fn of_trace(&self, trace: &Trace<'_>) -> Result<Vec<Spanset>, RuntimeError> {
        self.spansets(trace, (0..trace.spans.len()).collect())
    }

    /// Whether constants alone decide that nothing is ever selected. A constant that fails does not
    /// decide: it has to meet a span to do so.
    #[must_use]
    pub fn is_statically_empty(&self) -> bool {
        self.is_never_any(&self.pipeline)
    }

    fn is_never_any(&self, pipeline: &Pipeline) -> bool {
        pipeline
            .stages
            .iter()
            .any(|stage| matches!(stage, Stage::Spansets(expr) if self.is_never(expr)))
    }

    fn is_never(&self, expr: &SpansetExpr) -> bool {
        match expr {
            SpansetExpr::Filter { condition, .. } => condition
                .as_ref()
                .filter(|condition| !condition.references_span())
                .is_some_and(|constant| {
                    matches!(self.evaluator.selects_as_constant(constant), Ok(false))
                }),
            SpansetExpr::Binary { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.is_never(lhs), self.is_never(rhs));
                match op {
                    SpansetOp::Or => lhs && rhs,
                    SpansetOp::Structural {
                        form: StructuralForm::Negated,
                        ..
                    } => rhs,
                    SpansetOp::And | SpansetOp::Structural { .. } => lhs || rhs,
                }
            }
            SpansetExpr::Pipeline { pipeline, .. } => self.is_never_any(pipeline),
        }
    }

    pub(super) fn stages(
        &self,
        pipeline: &Pipeline,
        trace: &Trace<'_>,
        input: Vec<Spanset>,
    ) -> Result<Vec<Spanset>, RuntimeError> {
        pipeline
            .stages
            .iter()
            .try_fold(input, |spansets, stage| self.stage(stage, trace, spansets))
    }

    fn stage(
        &self,
        stage: &Stage,
        trace: &Trace<'_>,
        input: Vec<Spanset>,
    ) -> Result<Vec<Spanset>, RuntimeError> {
        let mut output = Vec::new();
        match stage {
            Stage::Spansets(expr) => {
                for spanset in &input {
                    output.extend(self.expr(expr, trace, spanset)?);
                }
            }
            Stage::GroupBy(key) => {
                for spanset in &input {
                    output.extend(self.groups(key, trace, spanset)?);
                }
            }
            Stage::ScalarFilter(filter) => {
                for mut spanset in input {
                    let compared = scalar::compare(filter, self, trace, &spanset)?;
                    let Some(compared) = compared.filter(|compared| compared.holds) else {
                        continue;
                    };
                    spanset.attributes.extend(compared.aggregates);
                    if let Some(selected) = compared.selected {
                        spanset.spans = selected.into_iter().collect();
                    }
                    output.push(spanset);
                }
            }
            Stage::Coalesce(_) => output.extend(merged(&input, Vec::new())),
            // Decides what is shown of a span, not which.
            Stage::Select(_) => output = input,
        }
        Ok(output)
    }

    fn expr(
        &self,
        expr: &SpansetExpr,
        trace: &Trace<'_>,
        input: &Spanset,
    ) -> Result<Vec<Spanset>, RuntimeError> {
        match expr {
            SpansetExpr::Filter { condition, .. } => {
                let mut spans = Vec::new();
                for &span in &input.spans {
                    let selects = match condition {
                        Some(condition) => self
                            .evaluator
                            .selects(condition, SpanView::new(trace, span))?,
                        None => true,
                    };
                    if selects {
                        spans.push(span);
                    }
                }
                Ok(of_spans(spans, input))
            }
            SpansetExpr::Pipeline { pipeline, .. } => {
                self.stages(pipeline, trace, vec![input.clone()])
            }
            SpansetExpr::Binary { op, lhs, rhs, .. } => {
                let lhs = self.expr(lhs, trace, input)?;
                let rhs = self.expr(rhs, trace, input)?;
                let both = || {
                    merged(
                        &[lhs.clone(), rhs.clone()].concat(),
                        input.attributes.clone(),
                    )
                };
                Ok(match op {
                    SpansetOp::And if lhs.is_empty() || rhs.is_empty() => Vec::new(),
                    SpansetOp::And | SpansetOp::Or => both().into_iter().collect(),
                    SpansetOp::Structural { relation, form } => {
                        let (lhs, rhs) = (only(&lhs)?, only(&rhs)?);
                        let dialect = self.evaluator.dialect();
                        let spans = join(*relation, *form, lhs, rhs, &trace.places, dialect);
                        of_spans(spans, input)
                    }
                })
            }
        }
    }

    fn groups(
        &self,
        key: &FieldExpr,
        trace: &Trace<'_>,
        input: &Spanset,
    ) -> Result<Vec<Spanset>, RuntimeError> {
        let mut groups: Vec<(Value, Vec<usize>)> = Vec::new();
        for &span in &input.spans {
            let value = self.evaluator.value(key, SpanView::new(trace, span))?;
            match groups
                .iter_mut()
                .find(|(known, _)| known.is_identical(&value))
            {
                Some((_, spans)) => spans.push(span),
                None => groups.push((value, vec![span])),
            }
        }
        let name = format!("by({key})");
        let spanset = |(value, spans)| {
            let mut attributes = input.attributes.clone();
            let shown = match value {
                Value::Nil => Value::String(NIL.to_owned()),
                value => value,
            };
            attributes.push((name.clone(), shown));
            Spanset { spans, attributes }
        };
        Ok(groups.into_iter().map(spanset).collect())
    }
}

/// Whether nothing but conditions on single spans decides.
fn has_only_filters(pipeline: &Pipeline) -> bool {
    let is_filter = |stage: &Stage| {
        matches!(
            stage,
            Stage::Select(_) | Stage::Spansets(SpansetExpr::Filter { .. })
        )
    };
    pipeline.stages.iter().all(is_filter)
        && !pipeline.attributes().into_iter().any(is_of_other_spans)
}

/// Whether the attribute of a span depends on other spans in more than its numbers.
fn is_of_other_spans(name: &Attribute) -> bool {
    let of_tree = [Intrinsic::Parent, Intrinsic::SpanSelfTime].map(Attribute::of_span);
    name.is_of_parent() || of_tree.contains(name)
}

/// The spans of the only spanset; none if there is no spanset.
pub(super) fn only(spansets: &[Spanset]) -> Result<&[usize], RuntimeError> {
    match spansets {
        [] => Ok(&[]),
        [spanset] => Ok(&spanset.spans),
        _ => Err(RuntimeError::SeveralSpansets),
    }
}

/// Spans that come out of `input`, as a spanset if there are any.
fn of_spans(spans: Vec<usize>, input: &Spanset) -> Vec<Spanset> {
    if spans.is_empty() {
        return Vec::new();
    }
    vec![Spanset {
        spans,
        attributes: input.attributes.clone(),
    }]
}

/// All spans of the spansets, each once, as one spanset; `None` if there are none.
fn merged(spansets: &[Spanset], attributes: Vec<(String, Value)>) -> Option<Spanset> {
    let spans: BTreeSet<usize> = spansets
        .iter()
        .flat_map(|spanset| spanset.spans.iter().copied())
        .collect();
    (!spans.is_empty()).then(|| Spanset {
        spans: spans.into_iter().collect(),
        attributes,
    })
}
