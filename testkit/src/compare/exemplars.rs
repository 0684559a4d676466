//! Whether exemplars are admissible.
//!
//! Which spans are shown as exemplars is left to the engine. What can be said is that there are not
//! too many of them, that each is what it claims to be: a span that counts in its series, at its time,
//! with its value, that each trace is shown once, and that the largest of all is among them.

use std::collections::HashSet;

use storage::ids::TraceId;
use storage::model::{Span, SpanGroup};
use traceql::ast::{
    Body, MetricsAggregate, MetricsFunction, MetricsQuery, MetricsStage, Query, SecondStage,
};

use super::series::show_labels;
use super::tolerance::Tolerance;
use crate::reference::aggregate::number;
use crate::reference::attributes::SpanView;
use crate::reference::buckets::bucket_counts;
use crate::reference::comparison::memberships;
use crate::reference::error::EvalError;
use crate::reference::grid::Grid;
use crate::reference::metrics::{group_labels, metrics};
use crate::reference::pipeline::Selection;
use crate::reference::second_stage::{satisfies, threshold};
use crate::reference::selected::each_selected;
use crate::reference::series::{LabelValue, Labels, RefSeries};
use crate::reference::value::Value;

/// A span shown as an example of what a series counts.
#[derive(Debug, Clone, PartialEq)]
pub struct RefExemplar {
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The start of the span, epoch ms.
    pub start_ms: i64,
    /// The aggregated value of the span, Durations in seconds; of a series that counts spans the
    /// value of its sample.
    pub value: f64,
}

/// A span that counts in a series.
#[derive(Debug)]
struct Member {
    labels: Labels,
    trace_id: TraceId,
    start_ns: i64,
    interval: usize,
    /// What it adds to the series; `None` if it only counts.
    value: Option<f64>,
    /// By which it is compared with others: what is aggregated, or its duration; `None` if it has none.
    rank: Option<f64>,
}

/// Checks the exemplars of the answer to a range query, given with the labels of their series;
/// `limit` is how many there may be.
///
/// # Errors
/// A description of the first exemplar that should not be there, or why the query fails.
pub fn check_exemplars(
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
    limit: usize,
    answer: &[(Labels, Vec<RefExemplar>)],
) -> Result<(), String> {
    let series = metrics(query, groups, grid).map_err(|error| error.to_string())?;
    let Body::Metrics(metrics) = &query.body else {
        return match answer.iter().find(|(_, exemplars)| !exemplars.is_empty()) {
            Some((labels, _)) => Err(format!("{} is computed", show_labels(labels))),
            None => Ok(()),
        };
    };
    let mut members = members(metrics, query, groups, grid).map_err(|error| error.to_string())?;
    let largest = must_be_shown(&members, &series, &metrics.second_stages);
    let mut shown = HashSet::new();
    for (labels, exemplars) in answer {
        let at = |reason: String| format!("series {}: {reason}", show_labels(labels));
        let of = series.iter().find(|series| series.labels == *labels);
        let of = of.ok_or_else(|| at("is not in the answer".to_owned()))?;
        if !exemplars.is_sorted_by_key(|exemplar| exemplar.start_ms) {
            return Err(at("exemplars are not in order of time".to_owned()));
        }
        for exemplar in exemplars {
            let is_it = |member: &Member| {
                member.labels == *labels
                    && member.trace_id == exemplar.trace_id
                    && member.start_ns.div_euclid(1_000_000) == exemplar.start_ms
                    && has_value(member, exemplar, of)
            };
            let member = members.iter().position(is_it);
            let member = member.ok_or_else(|| at(format!("no span like {exemplar:?}")))?;
            if !passes(&metrics.second_stages, exemplar.value) {
                return Err(at(format!("{exemplar:?} does not pass the filter")));
            }
            members.swap_remove(member);
            if !shown.insert((exemplar.trace_id, exemplar.start_ms)) {
                return Err(at(format!("{exemplar:?} is shown twice")));
            }
        }
    }
    let traces: HashSet<TraceId> = shown.iter().map(|(trace, _)| *trace).collect();
    if traces.len() < shown.len() {
        return Err(format!(
            "{} exemplars of {} traces",
            shown.len(),
            traces.len()
        ));
    }
    if shown.len() > limit {
        return Err(format!("{} exemplars, allowed are {limit}", shown.len()));
    }
    match largest {
        Some(largest) if limit > 0 && largest.is_disjoint(&shown) => {
            Err(format!("none of the largest is shown: {largest:?}"))
        }
        _ => Ok(()),
    }
}

/// The spans with the largest value of all, by trace and start in ms, of which one is shown; `None` if it
/// may be that none is, because one of them is in no series of the answer or does not pass its filters.
fn must_be_shown(
    members: &[Member],
    series: &[RefSeries],
    stages: &[SecondStage],
) -> Option<HashSet<(TraceId, i64)>> {
    let ranks = members.iter().filter_map(|member| member.rank);
    let most = ranks.max_by(f64::total_cmp)?;
    let largest = members.iter().filter(|member| member.rank == Some(most));
    let shown = largest.map(|member| {
        let of = series.iter().find(|of| of.labels == member.labels)?;
        let sample = of.values[member.interval]?;
        let start_ms = member.start_ns.div_euclid(1_000_000);
        passes(stages, member.value.unwrap_or(sample)).then_some((member.trace_id, start_ms))
    });
    shown.collect()
}

fn has_value(member: &Member, exemplar: &RefExemplar, series: &RefSeries) -> bool {
    // Where the series has no sample, it has no exemplar.
    let Some(sample) = series.values[member.interval] else {
        return false;
    };
    let expected = member.value.unwrap_or(sample);
    Tolerance::ROUNDING.accepts(expected, exemplar.value)
}

fn passes(stages: &[SecondStage], value: f64) -> bool {
    stages.iter().all(|stage| match stage {
        SecondStage::Filter { op, value: of, .. } => satisfies(*op, value, threshold(of)),
        SecondStage::TopK { .. } | SecondStage::BottomK { .. } => true,
    })
}

/// Every span of every series.
fn members(
    metrics: &MetricsQuery,
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Vec<Member>, EvalError> {
    let selection = Selection::of_metrics(metrics, query.dialect);
    let mut members = Vec::new();
    each_selected(&selection, groups, grid, |view, interval| {
        let of_series = match &metrics.stage {
            MetricsStage::Aggregate(stage) => series_of(stage, view),
            MetricsStage::Compare(stage) => memberships(stage, &selection, view)?
                .into_iter()
                .map(|labels| (labels, None, None))
                .collect(),
        };
        members.extend(of_series.into_iter().map(|(labels, value, rank)| Member {
            labels,
            trace_id: view.trace_id(),
            start_ns: view.span().span.start_ns,
            interval,
            value,
            rank,
        }));
        Ok(())
    })?;
    Ok(members)
}

/// A series that a span counts in, what it adds to it, and what it is compared with others by.
type OfSeries = (Labels, Option<f64>, Option<f64>);

/// The series that a span counts in.
fn series_of(stage: &MetricsAggregate, view: SpanView<'_>) -> Vec<OfSeries> {
    let by: Vec<Value> = stage
        .by
        .iter()
        .map(|name| view.value(&name.attribute))
        .collect();
    let labels = group_labels(stage, &by);
    let with = |name: &str, value: f64| {
        let mut labels = labels.clone();
        labels.push((name.to_owned(), LabelValue::Float(value)));
        labels
    };
    let argument = match &stage.argument {
        Some(argument) => view.value(&argument.attribute),
        None => Value::Nil,
    };
    // A span without the attribute shows as 0.
    let rank = argument.as_number().map(|_| number(&argument));
    let rank = rank.filter(|rank| !rank.is_nan());
    let value = rank.unwrap_or_default();
    match &stage.function {
        MetricsFunction::Rate | MetricsFunction::CountOverTime => {
            let Span {
                start_ns, end_ns, ..
            } = *view.span().span;
            vec![(
                labels,
                None,
                Some(end_ns.saturating_sub(start_ns).max(0) as f64),
            )]
        }
        MetricsFunction::HistogramOverTime => bucket_counts(&[argument])
            .into_iter()
            .map(|(bound, _)| (with("__bucket", bound), None, rank))
            .collect(),
        MetricsFunction::QuantileOverTime { quantiles } => quantiles
            .iter()
            .map(|&q| (with("p", q), Some(value), rank))
            .collect(),
        MetricsFunction::MinOverTime
        | MetricsFunction::MaxOverTime
        | MetricsFunction::AvgOverTime
        | MetricsFunction::SumOverTime => vec![(labels, Some(value), rank)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusFile;

    const TRACES: &str = "\
trace 1
  a/x @1.0005s +1s
  a/x @2s +2s
trace 2
  a/y @11s +3s
  a/y @12s +4s
  a/y @13s +5s
  a/y @14s +6s
";

    /// Exemplars by the name of their series: last byte of the trace id, seconds, value.
    type Answer<'a> = &'a [(&'a str, &'a [(u8, i64, f64)])];

    fn check(text: &str, limit: usize, answer: Answer<'_>) -> Result<(), String> {
        let file = CorpusFile::parse("inline.test".as_ref(), TRACES).expect("the text parses");
        let query = traceql::compile(text).expect("the query is valid");
        let grid = Grid::range(10_000_000_000, 20_000_000_000, 10_000_000_000);
        let exemplar = |&(trace, start_ms, value): &(u8, i64, f64)| {
            let mut id = [0; 16];
            id[15] = trace;
            RefExemplar {
                trace_id: TraceId(id),
                start_ms,
                value,
            }
        };
        let answer: Vec<(Labels, Vec<RefExemplar>)> = answer
            .iter()
            .map(|(label, exemplars)| {
                let (name, value) = label.split_once('=').expect("a label");
                let label = (name.to_owned(), LabelValue::String(value.to_owned()));
                (vec![label], exemplars.iter().map(exemplar).collect())
            })
            .collect();
        check_exemplars(&query, &file.groups, grid, limit, &answer)
    }

    /// The exemplar of the longest span of all.
    const LONGEST: (u8, i64, f64) = (2, 14_000, 6.0);

    #[test]
    fn exemplars_are_spans_of_their_series() {
        let maxima = "{ } | max_over_time(duration) by (name)";
        let of_x = |exemplars: &[_]| {
            let answer = [("name=x", exemplars), ("name=y", &[LONGEST])];
            check(maxima, 10, &answer)
        };
        assert_eq!(of_x(&[(1, 1000, 1.0)]), Ok(()));
        assert_eq!(of_x(&[(1, 2000, 2.0)]), Ok(()));
        assert!(of_x(&[(1, 2000, 1.0)]).is_err(), "another value");
        assert!(of_x(&[(2, 2000, 2.0)]).is_err(), "another trace");
        assert!(of_x(&[(1, 2001, 2.0)]).is_err(), "another time");
        assert!(of_x(&[(2, 11_000, 3.0)]).is_err(), "another series");
        assert!(of_x(&[(1, 2000, 2.0), (1, 2000, 2.0)]).is_err(), "twice");
        assert!(of_x(&[(1, 2000, 2.0), (1, 1000, 1.0)]).is_err(), "turned");
        assert!(check(maxima, 10, &[("name=z", &[])]).is_err());
    }

    #[test]
    fn counting_series_show_their_samples() {
        let counts = "{ } | count_over_time() by (name)";
        let of_y = |text, exemplar| check(text, 10, &[("name=y", &[exemplar])]);
        assert_eq!(of_y(counts, (2, 14_000, 4.0)), Ok(()));
        assert!(of_y(counts, (2, 14_000, 3.0)).is_err());
        let filtered = "{ } | max_over_time(duration) by (name) > 5";
        assert_eq!(of_y(filtered, LONGEST), Ok(()));
        assert!(of_y(filtered, (2, 13_000, 5.0)).is_err());
    }

    #[test]
    fn the_largest_is_shown_and_each_trace_once() {
        let maxima = "{ } | max_over_time(duration) by (name)";
        let of_y = |limit, exemplars| check(maxima, limit, &[("name=y", exemplars)]);
        assert_eq!(of_y(1, &[LONGEST]), Ok(()));
        assert!(of_y(0, &[LONGEST]).is_err());
        assert_eq!(of_y(0, &[]), Ok(()));
        assert!(of_y(1, &[]).is_err());
        assert!(of_y(9, &[(2, 13_000, 5.0)]).is_err());
        assert!(of_y(9, &[(2, 13_000, 5.0), LONGEST]).is_err());
        let two = [("name=x", &[(1, 1000, 1.0)][..]), ("name=y", &[LONGEST])];
        assert_eq!(check(maxima, 2, &two), Ok(()));
        assert!(check(maxima, 1, &two).is_err());
        // The longest is in no series.
        let shortest = "{ } | max_over_time(duration) by (name) < 3";
        assert_eq!(check(shortest, 9, &[("name=x", &[(1, 1000, 1.0)])]), Ok(()));
    }

    #[test]
    fn compared_spans_are_on_one_side() {
        let compare = "{ } | compare({ name = \"x\" })";
        let answer = |meta: &str, name: &str| {
            let label =
                |name: &str, value: &str| (name.to_owned(), LabelValue::String(value.to_owned()));
            let file = CorpusFile::parse("inline.test".as_ref(), TRACES).expect("the text parses");
            let query = traceql::compile(compare).expect("the query is valid");
            let grid = Grid::range(10_000_000_000, 20_000_000_000, 10_000_000_000);
            let mut id = [0; 16];
            id[15] = 2;
            let exemplar = RefExemplar {
                trace_id: TraceId(id),
                start_ms: 11_000,
                value: 4.0,
            };
            let labels = vec![label("__meta_type", meta), label("name", name)];
            check_exemplars(&query, &file.groups, grid, 9, &[(labels, vec![exemplar])])
        };
        assert_eq!(answer("baseline", "y"), Ok(()));
        assert_eq!(answer("baseline_total", "nil"), Ok(()));
        assert!(answer("selection", "x").is_err());
    }
}
