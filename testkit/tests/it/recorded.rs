//! The reference evaluator counts in recorded traces what other software counted.

use std::collections::BTreeMap;

use storage::model::SpanGroup;
use testkit::facts::{Facts, QueryFact};
use testkit::reference::pipeline::Selection;
use testkit::reference::trace::assemble;
use testkit::reference::{Grid, LabelValue, RefSeries, metrics, select_spans};
use testkit::testdata::{DataSet, data_sets, real_data_dir, samples};
use traceql::Dialect;

fn each_sample(mut check: impl FnMut(&DataSet, &Facts, &[SpanGroup])) {
    let sets = samples().expect("the samples are part of the repository");
    assert_eq!(sets.len(), 4);
    for set in sets {
        let facts = set.facts().expect("the facts have the expected form");
        let groups = set.load().expect("the samples are whole");
        check(&set, &facts, &groups);
    }
}

/// The series of a metrics query in one interval that holds every span of the set.
fn over_all(groups: &[SpanGroup], text: &str) -> Vec<RefSeries> {
    let query = traceql::compile(text).expect("the query is valid");
    metrics(&query, groups, Grid::instant(-1, i64::MAX - 1)).expect("the query does not fail")
}

/// The only value of each series, by its only label.
fn by_label(series: &[RefSeries]) -> BTreeMap<String, f64> {
    series
        .iter()
        .map(|series| match (&series.labels[..], &series.values[..]) {
            ([(_, LabelValue::String(label))], [Some(value)]) => (label.clone(), *value),
            _ => panic!("expected one label and one value: {series:?}"),
        })
        .collect()
}

/// The queries that select another number of spans or traces than the facts say.
fn wrong_queries(set: &DataSet, facts: &Facts, groups: &[SpanGroup]) -> Vec<String> {
    let traces = assemble(groups);
    let mut wrong = Vec::new();
    for (fact, query) in facts.compiled_queries().expect("the queries are valid") {
        let selection = Selection::of(&query).expect("the query selects spans");
        let (mut spans, mut found) = (0, 0);
        for trace in &traces {
            let spansets = selection.of_trace(trace).expect("the query does not fail");
            spans += spansets.iter().map(|it| it.spans.len() as u64).sum::<u64>();
            found += u64::from(!spansets.is_empty());
        }
        if (spans, found) != (fact.spans, fact.traces) {
            wrong.push(format!(
                "{}: {}: {spans} spans, {found} traces instead of {}, {}",
                set.name, fact.traceql, fact.spans, fact.traces
            ));
        }
    }
    wrong
}

#[test]
fn queries_select_the_stated_numbers() {
    let (mut compared, mut wrong) = (0, Vec::new());
    each_sample(|set, facts, groups| {
        wrong.extend(wrong_queries(set, facts, groups));
        compared += facts.queries.len();
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 150, "only {compared} queries compared");
}

#[test]
fn queries_on_large_recordings_select_the_stated_numbers() {
    let Some(dir) = real_data_dir() else {
        return; // They are not part of the repository.
    };
    let sets = data_sets(&dir).expect("the folder can be read");
    assert!(!sets.is_empty());
    for set in sets {
        let facts = set.facts().expect("the facts have the expected form");
        let groups = set.load().expect("the recording is whole");
        let wrong = wrong_queries(&set, &facts, &groups);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// In Tempo's dialect nothing is related below a span whose parent is missing.
#[test]
fn relations_of_tempo_need_a_root() {
    each_sample(|set, facts, groups| {
        let of_relations = |fact: &&QueryFact| fact.traceql.contains("} >");
        let (mut found, mut stated) = (0, 0);
        for fact in facts.queries.iter().filter(of_relations) {
            let query = traceql::compile_with(&fact.traceql, &Dialect::Tempo.into());
            let query = query.expect("the query is valid");
            let spans = select_spans(&query, groups).expect("the query does not fail");
            found += spans.len() as u64;
            stated += fact.spans;
        }
        // One recording has traces of which the upper part is missing.
        if set.name == "oteldemo.sample" {
            assert_eq!((found, stated), (759, 1310));
        } else {
            assert_eq!(found, stated, "{}", set.name);
        }
    });
}

#[test]
fn totals_agree() {
    each_sample(|set, facts, groups| {
        let spans: Vec<_> = groups.iter().flat_map(|group| &group.spans).collect();
        let name = &set.name;
        assert_eq!(spans.len() as u64, facts.totals.spans, "{name}");
        let starts = spans
            .iter()
            .map(|span| span.start_ns)
            .filter(|&start_ns| start_ns > 0);
        assert_eq!(
            starts.min(),
            Some(facts.totals.min_start_unix_nano),
            "{name}"
        );
        assert_eq!(
            spans.iter().map(|span| span.end_ns).max(),
            Some(facts.totals.max_end_unix_nano),
            "{name}"
        );
        let roots = spans
            .iter()
            .filter(|span| span.parent_span_id.is_none())
            .count();
        assert_eq!(roots as u64, facts.totals.root_spans, "{name}");
    });
}

#[test]
fn services_agree() {
    each_sample(|set, facts, groups| {
        let series = |function: &str| {
            by_label(&over_all(
                groups,
                &format!("{{ }} | {function} by (resource.service.name)"),
            ))
        };
        let counts = series("count_over_time()");
        let maxima = series("max_over_time(duration)");
        let sums = series("sum_over_time(duration)");
        assert_eq!(counts.len(), facts.services.len(), "{}", set.name);
        for (service, fact) in &facts.services {
            let label = if service == "(none)" { "" } else { service };
            let at = format!("{}: {service}", set.name);
            assert_eq!(counts[label], fact.spans as f64, "{at}");
            assert_eq!(maxima[label], fact.duration_ns.max as f64 / 1e9, "{at}");
            let sum = fact.duration_ns.sum as f64 / 1e9;
            assert!(
                (sums[label] - sum).abs() <= 1e-9 * sum,
                "{at}: {} instead of {sum}",
                sums[label]
            );
        }
    });
}

#[test]
fn percentiles_agree() {
    each_sample(|set, facts, groups| {
        let series = over_all(groups, "{ } | quantile_over_time(duration, .5, .9, .99)");
        let actual: Vec<Option<f64>> = series.iter().map(|series| series.values[0]).collect();
        let durations = &facts.duration_ns_all;
        let expected =
            [durations.p50, durations.p90, durations.p99].map(|ns| Some(ns as f64 / 1e9));
        assert_eq!(actual, expected, "{}", set.name);
    });
}

#[test]
fn spans_per_minute_agree() {
    const MINUTE_NS: i64 = 60_000_000_000;
    each_sample(|set, facts, groups| {
        // Minutes of the facts begin with their first instant, intervals end with their last.
        let start_ns = facts.totals.min_start_unix_nano.div_euclid(MINUTE_NS) * MINUTE_NS - 1;
        let span_ns = facts.totals.max_end_unix_nano - start_ns;
        let intervals = span_ns / MINUTE_NS + 1;
        if intervals > 100_000 {
            return; // One set has spans that start with the epoch.
        }
        let grid = Grid {
            start_ns,
            step_ns: MINUTE_NS,
            intervals: intervals as usize,
        };
        let query = traceql::compile("{ } | count_over_time()").expect("the query is valid");
        let series = metrics(&query, groups, grid).expect("the query does not fail");
        let counts: Vec<u64> = series[0]
            .values
            .iter()
            .flatten()
            .map(|&value| value as u64)
            .filter(|&n| n > 0)
            .collect();
        let expected: Vec<u64> = facts.per_minute.all.values().copied().collect();
        assert_eq!(counts, expected, "{}", set.name);
    });
}
