//! What Traces Drilldown asks, on recorded traces: the engine answers as the reference evaluator does.

use engine::Grid;
use engine::search::SearchWindow;
use storage::model::SpanGroup;
use testkit::compare::{Tolerance, compare_search, compare_series};
use testkit::reference::{self, metrics, search};
use testkit::testdata::samples;

use crate::support::{Bench, Layout, as_reference, as_trace_results, block_on, deal};

/// The panels of metrics; `S` stands for the filter of the page, `A` for the attribute of a breakdown,
/// `N` for the number of points that the panel asks for. The spaces are those that it sends.
const METRICS: [(&str, i64, &str); 14] = [
    ("D1", 60, "{} | rate()"),
    ("D2", 64, "{S} | rate()  with(sample=true)"),
    ("D3", 64, "{S && status=error} | rate()  with(sample=true)"),
    (
        "D4",
        24,
        "{S} | histogram_over_time(duration) with(sample=true)",
    ),
    ("D5", 480, "{S} | rate()  with(sample=true)"),
    (
        "D5",
        480,
        "{S} | quantile_over_time(duration, 0.5,0.9,0.99)  with(sample=true)",
    ),
    ("D6", 64, "{S && A != nil} | rate() by(A)"),
    ("D7", 64, "{S && status=error && A != nil} | rate() by(A)"),
    (
        "D8",
        64,
        "{S && A != nil} | quantile_over_time(duration, 0.9) by(A)",
    ),
    (
        "D9",
        64,
        "{S && resource.service.name=\"frontend\"} | rate() by(resource.service.name)",
    ),
    ("D10", 1, "{S} | compare({status = error}, 10)"),
    ("D10", 1, "{S} | compare({duration >= 1ms}, 10)"),
    (
        "D10",
        1,
        "{S} | compare({duration >= 1ms && duration <= 2s}, 10, START, END)",
    ),
    ("D10", 1, "{S} | compare({})"),
];

/// The lists of spans.
const SEARCHES: [(&str, &str); 12] = [
    (
        "D11",
        "{S} | select(status, resource.service.name, name, A)",
    ),
    ("D11", "{S}"),
    ("D12", "{S && status = error}"),
    ("D13", "{S&& duration > 2ms}"),
    ("D13", "{S&& duration >= 1ms && duration <= 20ms}"),
    (
        "D14",
        "({S } &>> { kind = server }) || ({S }) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
    ),
    (
        "D15",
        "({S && status = error } &>> { status = error }) || ({S && status = error }) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
    ),
    (
        "D16",
        "({S && duration > 10ms } &>> { duration > 3ms }) || ({S && duration > 10ms }) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)",
    ),
    (
        "D17",
        "{S && status = error} | select(resource.service.name, event.exception.message,event.exception.stacktrace,event.exception.type) with(most_recent=true)",
    ),
    (
        "D18",
        "{S && status = error && event.exception.message =~ \".*(failed|error|http).*\" && event.exception.type != \"none\"} | select(name,span.http.status_code)",
    ),
    (
        "D19",
        "{S && status = error && event.exception.message =~ \".*\"} | select(resource.service.name)",
    ),
    (
        "D19",
        "{S && status = error && event.exception.message =~ \".*\"} | select(name)",
    ),
];

/// The filters of a page: root spans, all spans, and servers with conditions of the user.
const FILTERS: [(&str, &str); 3] = [
    ("nestedSetParent<0 && true", "resource.service.name"),
    ("true && true", "rootServiceName"),
    (
        "kind=server && resource.service.name!=\"\"&&duration>0ns",
        "span.http.status_code",
    ),
];

/// Recordings with errors and exceptions, and with missing parents.
fn recordings() -> Vec<(String, Vec<SpanGroup>)> {
    let samples = samples().expect("the samples are in the repository");
    let mut recordings = Vec::new();
    for sample in samples {
        if !sample.name.contains("oteldemo") && !sample.name.contains("zipkin") {
            continue;
        }
        let groups = sample.load().expect("a sample loads");
        recordings.push((sample.name, in_stored_order(&groups)));
    }
    assert_eq!(recordings.len(), 2);
    recordings
}

/// The spans in the order in which a block numbers siblings.
fn in_stored_order(groups: &[SpanGroup]) -> Vec<SpanGroup> {
    let mut spans: Vec<SpanGroup> = deal(groups, 1).concat();
    spans.sort_by_key(|group| group.spans.first().map(|it| (it.start_ns, it.span_id)));
    spans
}

/// First and last start of the spans that have one, with a second around them.
fn period(groups: &[SpanGroup]) -> (i64, i64) {
    let starts = || {
        let spans = groups.iter().flat_map(|group| &group.spans);
        spans.map(|span| span.start_ns).filter(|&start| start > 0)
    };
    let (first, last) = (
        starts().min().expect("spans"),
        starts().max().expect("spans"),
    );
    (first - 1_000_000_000, last + 1_000_000_000)
}

fn written(query: &str, filter: &str, attribute: &str, period: (i64, i64)) -> String {
    let bound = |query: String, word, ns: i64| query.replace(word, &ns.to_string());
    let query = query.replace("{S", &format!("{{{filter}"));
    let query = query.replace("A != nil", &format!("{attribute} != nil"));
    let query = query.replace("by(A)", &format!("by({attribute})"));
    let query = query.replace(", A)", &format!(", {attribute})"));
    bound(bound(query, "START", period.0), "END", period.1)
}

#[test]
fn metrics_of_traces_drilldown() {
    let mut points = 0;
    for (name, groups) in recordings() {
        let period = period(&groups);
        let mut layouts = Layout::ALL.into_iter().cycle();
        for (filter, attribute) in FILTERS {
            let layout = layouts.next().expect("they go round");
            block_on(async {
                let mut bench = Bench::new();
                let slices = bench.lay_out_in(&groups, layout, 200).await;
                for (number, intervals, query) in METRICS {
                    let text = written(query, filter, attribute, period);
                    let seconds = (period.1 - period.0) / 1_000_000_000 / intervals;
                    let step_ns = seconds.max(1) * 1_000_000_000;
                    let over = reference::Grid::range(period.0, period.1, step_ns);
                    let query = traceql::compile(&text).expect("the query compiles");
                    let expected = metrics(&query, &groups, over).expect("an answer");
                    let over = Grid::aligned(period.0, period.1, step_ns).expect("a grid");
                    let answer = bench.answer(&query, over, slices.clone()).await;
                    let answer = as_reference(&answer.expect("an answer"));
                    let tolerance = if text.contains("quantile") {
                        Tolerance::SKETCH
                    } else {
                        Tolerance::ROUNDING
                    };
                    let compared = compare_series(&expected, &answer, tolerance);
                    compared.unwrap_or_else(|reason| {
                        panic!("{number} on {name}, {layout:?}: {text}\n{reason}")
                    });
                    let values = answer.iter().flat_map(|series| &series.values);
                    points += values.flatten().filter(|value| **value > 0.0).count();
                }
            });
        }
    }
    assert!(points > 1000, "{points} points only");
}

#[test]
fn searches_of_traces_drilldown() {
    let mut found = 0;
    for (name, groups) in recordings() {
        let period = period(&groups);
        let mut layouts = Layout::ALL.into_iter().cycle();
        for (filter, attribute) in FILTERS {
            let layout = layouts.next().expect("they go round");
            block_on(async {
                let mut bench = Bench::new();
                let slices = bench.lay_out_in(&groups, layout, 200).await;
                for (number, query) in SEARCHES {
                    let text = written(query, filter, attribute, period);
                    let query = traceql::compile(&text).expect("the query compiles");
                    let (start_ns, end_ns) = period;
                    let window = reference::SearchWindow { start_ns, end_ns };
                    let expected = search(&query, &groups, Some(window)).expect("an answer");
                    let window = SearchWindow { start_ns, end_ns };
                    let answer = bench.find(&query, window, usize::MAX, slices.clone()).await;
                    let answer = as_trace_results(answer.expect("an answer"));
                    compare_search(&expected, &answer, Tolerance::ROUNDING, None).unwrap_or_else(
                        |reason| panic!("{number} on {name}, {layout:?}: {text}\n{reason}"),
                    );
                    found += answer.len();
                }
            });
        }
    }
    assert!(found > 1000, "{found} traces only");
}
