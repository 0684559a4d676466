//! Metrics queries, from spans to series.

use std::collections::HashMap;

use storage::model::SpanGroup;
use traceql::Dialect;
use traceql::ast::{
    Attribute, AttributeRef, Body, Intrinsic, Literal, MetricsAggregate, MetricsFunction,
    MetricsQuery, MetricsStage, Query,
};

use super::aggregate::{Interval, QuantileMethod, histogram, plain_values, quantile_values};
use super::arithmetic::evaluate;
use super::comparison::compare;
use super::error::EvalError;
use super::grid::Grid;
use super::pipeline::Selection;
use super::second_stage::narrow;
use super::selected::each_selected;
use super::series::{LabelValue, Labels, NIL, RefSeries, answer_order};
use super::value::Value;

/// The series of a metrics query over all spans of `groups` that start within the grid.
///
/// # Errors
/// The query has no metrics stage, or an operator fails on a span that has to be looked at.
pub fn metrics(
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Vec<RefSeries>, EvalError> {
    let mut series = match &query.body {
        Body::Metrics(metrics) => of_query(metrics, query, groups, grid)?,
        Body::MetricsExpr(expr) => {
            let of_operand = |metrics: &MetricsQuery| of_query(metrics, query, groups, grid);
            evaluate(expr, &of_operand)?
        }
        _ => return Err(EvalError::NoMetrics),
    };
    series.sort_by(|lhs, rhs| answer_order(&lhs.labels, &rhs.labels));
    Ok(series)
}

/// The series of a metrics query that is part of `query`.
fn of_query(
    metrics: &MetricsQuery,
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Vec<RefSeries>, EvalError> {
    let selection = Selection::of_metrics(metrics, query.dialect);
    if selection.is_statically_empty() {
        return Ok(Vec::new());
    }
    let mut series = match &metrics.stage {
        MetricsStage::Aggregate(stage) => {
            let collected = collect(stage, &selection, query.dialect, groups, grid)?;
            collected
                .iter()
                .flat_map(|(labels, intervals)| {
                    series_of_group(stage, quantile_method(query), labels, intervals, grid)
                })
                .collect()
        }
        MetricsStage::Compare(stage) => compare(stage, &selection, groups, grid)?,
    };
    for second in &metrics.second_stages {
        series = narrow(second, series);
    }
    Ok(series)
}

/// Spans and values per group, in the order in which groups first appear.
type Collected = Vec<(Labels, Vec<Interval>)>;

fn collect(
    stage: &MetricsAggregate,
    selection: &Selection,
    dialect: Dialect,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Collected, EvalError> {
    let nothing = vec![Interval::default(); grid.intervals];
    let mut collected: Collected = Vec::new();
    let mut position_of: HashMap<Labels, usize> = HashMap::new();
    if stage.by.is_empty() {
        // Counting nothing gives zeros, not nothing.
        let labels = group_labels(stage, &[]);
        position_of.insert(labels.clone(), 0);
        collected.push((labels, nothing.clone()));
    }
    each_selected(selection, groups, grid, |view, interval| {
        let value = |name: &AttributeRef| match dialect {
            // That dialect takes attributes of the parent here alone, and groups them all as absent.
            Dialect::Tempo if is_of_parent(&name.attribute) => Value::Nil,
            _ => view.value(&name.attribute),
        };
        let labels = group_labels(stage, &stage.by.iter().map(value).collect::<Vec<_>>());
        let position = *position_of.entry(labels).or_insert_with_key(|labels| {
            collected.push((labels.clone(), nothing.clone()));
            collected.len() - 1
        });
        collected[position].1[interval].add(stage.argument.as_ref().map(value));
        Ok(())
    })?;
    Ok(collected)
}

fn is_of_parent(name: &Attribute) -> bool {
    name.is_of_parent() || *name == Attribute::of_span(Intrinsic::Parent)
}

/// The labels of a group, without those that a function adds to tell its series apart.
pub(crate) fn group_labels(stage: &MetricsAggregate, by: &[Value]) -> Labels {
    let names = || stage.by.iter().map(|name| name.attribute.canonical());
    let present = |(name, value): (String, &Value)| Some((name, LabelValue::of_value(value)?));
    let labels: Labels = names().zip(by).filter_map(present).collect();
    let adds_a_label = matches!(
        stage.function,
        MetricsFunction::HistogramOverTime | MetricsFunction::QuantileOverTime { .. }
    );
    if !labels.is_empty() || adds_a_label {
        return labels;
    }
    // A series must not be without labels.
    let (name, value) = match names().next() {
        Some(first) => (first, NIL),
        None => ("__name__".to_owned(), function_name(&stage.function)),
    };
    vec![(name, LabelValue::String(value.to_owned()))]
}

fn series_of_group(
    stage: &MetricsAggregate,
    method: QuantileMethod,
    labels: &Labels,
    intervals: &[Interval],
    grid: Grid,
) -> Vec<RefSeries> {
    let with = |name: &str, value: f64| {
        let mut labels = labels.clone();
        labels.push((name.to_owned(), LabelValue::Float(value)));
        labels
    };
    match &stage.function {
        MetricsFunction::QuantileOverTime { quantiles } => quantiles
            .iter()
            .enumerate()
            // A quantile asked for twice is one series.
            .filter(|&(index, q)| !quantiles[..index].contains(q))
            .filter_map(|(_, &q)| {
                Some(RefSeries {
                    labels: with("p", q),
                    values: quantile_values(q, method, intervals)?,
                })
            })
            .collect(),
        MetricsFunction::HistogramOverTime => histogram(intervals)
            .into_iter()
            .map(|(bound, values)| RefSeries {
                labels: with("__bucket", bound),
                values,
            })
            .collect(),
        function => plain_values(function, intervals, grid.step_seconds())
            .map(|values| RefSeries {
                labels: labels.clone(),
                values,
            })
            .into_iter()
            .collect(),
    }
}

fn function_name(function: &MetricsFunction) -> &'static str {
    match function {
        MetricsFunction::Rate => "rate",
        MetricsFunction::CountOverTime => "count_over_time",
        MetricsFunction::MinOverTime => "min_over_time",
        MetricsFunction::MaxOverTime => "max_over_time",
        MetricsFunction::AvgOverTime => "avg_over_time",
        MetricsFunction::SumOverTime => "sum_over_time",
        MetricsFunction::HistogramOverTime => "histogram_over_time",
        MetricsFunction::QuantileOverTime { .. } => "quantile_over_time",
    }
}

/// `with(quantile="log2")` asks for the interpolated quantiles of Tempo.
fn quantile_method(query: &Query) -> QuantileMethod {
    let is_log2 = query
        .hints
        .iter()
        .rev()
        .find(|hint| hint.name == "quantile")
        .is_some_and(|hint| matches!(&hint.value, Literal::String(method) if method == "log2"));
    if is_log2 {
        QuantileMethod::Log2Buckets
    } else {
        QuantileMethod::NearestRank
    }
}
