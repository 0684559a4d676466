//! The attributes that a query names.

use traceql::ast::{Aggregate, Attribute, Body, Pipeline, Query, ScalarExpr, SpansetExpr, Stage};

/// The attributes named where the query selects, in the order in which it first names them. What
/// metrics are computed of is not part of it.
pub(super) fn of_selection(query: &Query) -> Vec<&Attribute> {
    let named = match &query.body {
        Body::Search(pipeline) => of_pipeline(pipeline),
        Body::Metrics(metrics) => of_pipeline(&metrics.pipeline),
        Body::PipelineExpr(expr) => of_spansets(expr),
        Body::ScalarPipelineFilter(filter) => {
            [of_scalar(&filter.lhs), of_scalar(&filter.rhs)].concat()
        }
        Body::MetricsExpr(_) => Vec::new(),
    };
    let mut once: Vec<&Attribute> = Vec::new();
    for name in named {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// The attributes that a pipeline names, as often as it does.
pub(super) fn of_pipeline<'q>(pipeline: &'q Pipeline) -> Vec<&'q Attribute> {
    let of_stage = |stage: &'q Stage| match stage {
        Stage::Spansets(expr) => of_spansets(expr),
        Stage::ScalarFilter(filter) => [of_scalar(&filter.lhs), of_scalar(&filter.rhs)].concat(),
        Stage::GroupBy(key) => key.attributes(),
        Stage::Select(names) => names.iter().map(|name| &name.attribute).collect(),
        Stage::Coalesce(_) => Vec::new(),
    };
    pipeline.stages.iter().flat_map(of_stage).collect()
}

fn of_spansets(expr: &SpansetExpr) -> Vec<&Attribute> {
    match expr {
        SpansetExpr::Filter { condition, .. } => condition
            .iter()
            .flat_map(|condition| condition.attributes())
            .collect(),
        SpansetExpr::Binary { lhs, rhs, .. } => [of_spansets(lhs), of_spansets(rhs)].concat(),
        SpansetExpr::Pipeline { pipeline, .. } => of_pipeline(pipeline),
    }
}

fn of_scalar(expr: &ScalarExpr) -> Vec<&Attribute> {
    match expr {
        ScalarExpr::Aggregate(aggregate) => of_aggregate(aggregate),
        ScalarExpr::Binary { lhs, rhs, .. } => [of_scalar(lhs), of_scalar(rhs)].concat(),
        ScalarExpr::Pipeline {
            pipeline,
            aggregate,
            ..
        } => [of_pipeline(pipeline), of_aggregate(aggregate)].concat(),
        ScalarExpr::Number { .. } | ScalarExpr::Literal { .. } => Vec::new(),
    }
}

fn of_aggregate(aggregate: &Aggregate) -> Vec<&Attribute> {
    let argument = aggregate.argument.iter();
    argument
        .flat_map(|argument| argument.attributes())
        .collect()
}
