//! Exemplars are spans of their series, the slowest among them, and the same ones whatever the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{Exemplar, Label, LabelValue, SeriesSet};
use storage::ids::{SpanId, TraceId};
use storage::model::{AnyValue, Attribute, Event, Span, SpanGroup};
use testkit::compare::{RefExemplar, check_exemplars};
use testkit::generate::{nasty_grid, random_query};
use testkit::reference::{Labels, metrics};

use crate::differential::{check_all, lay_out, traces};
use crate::support::{Bench, as_reference, block_on, grid};

/// Exemplars that the random queries showed.
static SHOWN: AtomicUsize = AtomicUsize::new(0);

#[test]
fn random_queries() {
    check_all(random_query, check);
    assert!(SHOWN.load(Ordering::Relaxed) > 50, "{SHOWN:?}");
}

fn check(seed: u64, text: &str) -> Result<(), String> {
    let groups = traces(seed);
    let query = traceql::compile(text).map_err(|error| format!("does not compile: {error}"))?;
    if metrics(&query, &groups, nasty_grid()).is_err() {
        return Ok(());
    }
    let count = [100, 7, 1, 0][usize::try_from(seed % 4).expect("small")];
    // In memory, stored, and in pieces, as a seed and the next one have it.
    for layout in [seed, seed + 1] {
        let (encoded, general) = block_on(async {
            let mut bench = Bench::new();
            let slices = lay_out(&mut bench, &groups, layout).await;
            let over = grid(nasty_grid());
            let general = bench.general();
            (
                bench
                    .run_with_exemplars(text, over, count, slices.clone())
                    .await,
                general.run_with_exemplars(text, over, count, slices).await,
            )
        });
        let (set, exemplars) = encoded.map_err(|error| error.to_string())?;
        let (_, of_general) = general.map_err(|error| error.to_string())?;
        let shown: usize = exemplars.iter().map(Vec::len).sum();
        SHOWN.fetch_add(shown, Ordering::Relaxed);
        let answer = as_answer(&set, &exemplars);
        check_exemplars(&query, &groups, nasty_grid(), count, &answer)
            .map_err(|reason| format!("layout {layout}: {reason}"))?;
        opens(&groups, &exemplars).map_err(|reason| format!("layout {layout}: {reason}"))?;
        // As text, in which NaN is the same as itself.
        let (shown, of_general) = (format!("{exemplars:?}"), format!("{of_general:?}"));
        if shown != of_general {
            return Err(format!("layout {layout}: {shown} instead of {of_general}"));
        }
    }
    Ok(())
}

/// Each exemplar leads to a span.
fn opens(groups: &[SpanGroup], exemplars: &[Vec<Exemplar>]) -> Result<(), String> {
    let spans = || groups.iter().flat_map(|group| &group.spans);
    for exemplar in exemplars.iter().flatten() {
        let is_it = |span: &Span| {
            let ids = (span.trace_id, span.span_id, span.start_ns);
            ids == (exemplar.trace_id, exemplar.span_id, exemplar.start_ns)
        };
        if !spans().any(is_it) {
            return Err(format!("no span like {exemplar:?}"));
        }
    }
    Ok(())
}

/// An answer in the reference evaluator's words.
fn as_answer(set: &SeriesSet, exemplars: &[Vec<Exemplar>]) -> Vec<(Labels, Vec<RefExemplar>)> {
    let exemplar = |exemplar: &Exemplar| RefExemplar {
        trace_id: exemplar.trace_id,
        start_ms: exemplar.start_ns.div_euclid(1_000_000),
        value: exemplar.value,
    };
    let series = as_reference(set).into_iter().zip(exemplars);
    series
        .map(|(series, of)| (series.labels, of.iter().map(exemplar).collect()))
        .collect()
}

#[test]
fn spans_are_shown_with_what_the_query_names() {
    let samples = testkit::testdata::samples().expect("the samples are in the repository");
    let sample = samples
        .iter()
        .find(|s| s.name.contains("oteldemo"))
        .expect("a sample of the demo");
    let groups = sample.load().expect("a sample loads");
    let spans = || groups.iter().flat_map(|group| &group.spans);
    let first = spans().map(|span| span.start_ns).min().expect("spans");
    let last = spans().map(|span| span.start_ns).max().expect("spans");
    let grid = engine::Grid::aligned(first, last, 1_000_000_000).expect("a grid");
    let text = "{ kind != internal } | max_over_time(duration) by (resource.service.name)";
    let (set, exemplars) = block_on(async {
        let mut bench = Bench::new();
        let slices = bench.live(&groups);
        bench.run_with_exemplars(text, grid, 50, slices).await
    })
    .expect("an answer");
    // The slowest of all is there, at the value of a sample.
    let slowest = spans().filter(|span| span.kind != 1);
    let slowest = slowest.max_by_key(|span| span.end_ns - span.start_ns);
    let slowest = slowest.expect("spans").span_id;
    let mut found = set.series.iter().zip(&exemplars);
    let found = found.find_map(|(series, of)| {
        let found = of.iter().find(|exemplar| exemplar.span_id == slowest)?;
        Some((series, found))
    });
    let (series, found) = found.expect("the slowest span is shown");
    assert!(series.values.iter().any(|value| value == found.value));
    let keys: Vec<&str> = found.attributes.iter().map(|a| &*a.name).collect();
    assert_eq!(keys, ["kind", "duration", "resource.service.name"]);
    assert_eq!(found.attributes[2].value, series.labels[0].value);
    let is_duration =
        |value: &LabelValue| matches!(value, LabelValue::String(text) if text.ends_with('s'));
    assert!(is_duration(&found.attributes[1].value));
}

#[test]
fn spans_are_shown_with_what_follows_from_their_trace() {
    const QUERIES: [&str; 3] = [
        "{ nestedSetParent > 0 && parent:name != nil } | rate() by (resource.service.name)",
        "{ span:selfTime > 0ns && parent.resource.service.name != nil } | max_over_time(span:selfTime)",
        "{ span:parentID != \"\" && nestedSetLeft > 0 } | count_over_time() by (span:parentID)",
    ];
    let samples = testkit::testdata::samples().expect("the samples are in the repository");
    let sample = samples.iter().find(|s| s.name.contains("oteldemo"));
    let groups = sample
        .expect("a sample of the demo")
        .load()
        .expect("it loads");
    let starts = groups.iter().flat_map(|group| &group.spans);
    let starts: Vec<i64> = starts.map(|span| span.start_ns).collect();
    let (first, last) = (starts.iter().min(), starts.iter().max());
    let (first, last) = first.zip(last).expect("spans");
    let grid = engine::Grid::aligned(*first, *last, 1_000_000_000).expect("a grid");
    block_on(async {
        let mut bench = Bench::new();
        let layouts = [bench.live(&groups), bench.stored(&groups, 100).await];
        for query in QUERIES {
            let mut shown = Vec::new();
            for slices in &layouts {
                let found = bench.run_with_exemplars(query, grid, 100, slices.clone());
                let found = found.await.expect("an answer").1.concat();
                assert!(found.len() > 10, "{query}: {found:?}");
                assert!(
                    found.iter().all(|one| one.attributes.len() > 1),
                    "{found:?}"
                );
                let by_id = found.into_iter().map(|one| (one.span_id, one.attributes));
                shown.push(by_id.collect::<HashMap<_, _>>());
            }
            // Blocks are numbered otherwise, so that other samples may be shown.
            let common = shown[0].iter().filter(|(id, _)| shown[1].contains_key(*id));
            let common: Vec<_> = common.collect();
            assert!(common.len() > 5, "{query}");
            for (id, attributes) in common {
                assert_eq!(*attributes, shown[1][id], "{query}");
            }
        }
    });
}

#[test]
fn spans_are_shown_with_the_keys_of_their_series() {
    let event = |name: &str| Event {
        name: name.to_owned(),
        ..Event::default()
    };
    let strings = ["a", "b"].map(|text| AnyValue::String(text.to_owned()));
    let span = |id: u8, events: &[&str], zone: AnyValue| Span {
        trace_id: TraceId([id; 16]),
        span_id: SpanId([id; 8]),
        start_ns: 1_000_000_000,
        end_ns: 2_000_000_000,
        events: events.iter().map(|name| event(name)).collect(),
        attributes: vec![Attribute {
            key: "zone".into(),
            value: zone,
        }],
        ..Span::default()
    };
    let groups = [SpanGroup {
        resource: Arc::default(),
        scope: Arc::default(),
        spans: vec![
            span(1, &["first", "last"], AnyValue::Array(strings.to_vec())),
            span(2, &[], AnyValue::String("a".to_owned())),
        ],
    }];
    let text = |text: &str| LabelValue::String(text.into());
    let label = |name: &str, value| Label {
        name: name.into(),
        value,
    };
    let [first, none] = ["first", ""].map(|name| label("event:name", text(name)));
    let zone = label("span.zone", text("a"));
    let cases = [
        (
            "{ } | rate() by (event:name)",
            [vec![first.clone()], vec![none.clone()]],
        ),
        (
            "{ } | rate() by (span.zone, trace:id)",
            [Vec::new(), vec![zone.clone()]],
        ),
        (
            "{ span.zone != nil } | rate() by (event:name)",
            [vec![first], vec![zone, none]],
        ),
    ];
    let grid = engine::Grid::aligned(0, 2_000_000_000, 1_000_000_000).expect("a grid");
    block_on(async {
        let mut bench = Bench::new();
        for slices in [bench.live(&groups), bench.stored(&groups, 1).await] {
            for (query, expected) in &cases {
                let found = bench.run_with_exemplars(query, grid, 9, slices.clone());
                let mut found = found.await.expect("an answer").1.concat();
                found.sort_by_key(|exemplar| exemplar.span_id);
                let attributes = found.into_iter().map(|exemplar| exemplar.attributes);
                assert_eq!(attributes.collect::<Vec<_>>(), expected, "{query}");
            }
        }
    });
}

#[test]
fn blocks_in_which_nothing_can_match_have_none() {
    let groups = traces(1);
    let text = "{ span.nowhere = 1 } | max_over_time(duration) by (name)";
    block_on(async {
        let mut bench = Bench::new();
        bench.prune = false;
        for slices in [bench.live(&groups), bench.stored(&groups, 2).await] {
            for bench in [&bench, &bench.general()] {
                let over = grid(nasty_grid());
                let found = bench.run_with_exemplars(text, over, 9, slices.clone());
                let (set, exemplars) = found.await.expect("an answer");
                assert!(set.series.is_empty() && exemplars.is_empty());
            }
        }
    });
}
