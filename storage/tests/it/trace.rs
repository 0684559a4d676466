//! A trace comes out of a block whole, alone, and by few requests.

use crate::common::{block, contents, group, load, open, samples, span, stored, text, trace_id};
use storage::block::{MemoryBlock, TraceSpans, WriteOptions, live_trace, read_trace};
use storage::ids::TraceId;
use storage::model::SpanGroup;

const NO_LIMIT: u64 = u64::MAX;

fn small() -> WriteOptions {
    WriteOptions {
        row_group_rows: 300,
        page_rows: 20,
        zstd_level: 1,
    }
}

/// What the groups say of one trace.
fn of_trace(groups: &[SpanGroup], id: TraceId) -> Vec<SpanGroup> {
    let mut groups = groups.to_vec();
    groups
        .iter_mut()
        .for_each(|group| group.spans.retain(|span| span.trace_id == id));
    groups
}

fn trace_ids(groups: &[SpanGroup]) -> Vec<TraceId> {
    let spans = groups.iter().flat_map(|group| &group.spans);
    let mut ids: Vec<TraceId> = spans.map(|span| span.trace_id).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn count(groups: &[SpanGroup]) -> usize {
    groups.iter().map(|group| group.spans.len()).sum()
}

/// The block in batches that end anywhere.
fn in_small_batches(block: &MemoryBlock) -> MemoryBlock {
    let mut batches = Vec::new();
    for batch in &block.batches {
        let starts = (0..batch.num_rows()).step_by(7);
        batches.extend(starts.map(|at| batch.slice(at, 7.min(batch.num_rows() - at))));
    }
    MemoryBlock {
        batches,
        ..block.clone()
    }
}

#[tokio::test]
async fn recorded_traces() {
    for path in samples() {
        let groups = load(&path);
        let live = in_small_batches(&block(&groups));
        let (store, meta) = stored(&groups, &small()).await;
        let file = open(&store, &meta);
        let ids = trace_ids(&groups);
        for id in ids.iter().copied().step_by(ids.len().div_ceil(20)) {
            let expected = contents(&of_trace(&groups, id));
            let from_file = read_trace(file.clone(), id, NO_LIMIT).await.unwrap();
            assert!(from_file.is_complete());
            assert_eq!(contents(&from_file.into_groups()), expected, "stored {id}");
            let from_memory = live_trace(&live, id, NO_LIMIT).unwrap();
            assert_eq!(contents(&from_memory.into_groups()), expected, "live {id}");
        }
        let absent = TraceId([0xee; 16]);
        let spans = read_trace(file, absent, NO_LIMIT).await.unwrap();
        assert!(spans.into_groups().is_empty());
        assert!(
            live_trace(&live, absent, NO_LIMIT)
                .unwrap()
                .into_groups()
                .is_empty()
        );
    }
}

/// Traces of seven spans each, one a second.
fn seven_each(traces: u64) -> Vec<SpanGroup> {
    let spans = (1..=traces).flat_map(|trace| {
        (1..=7).map(move |id| span(trace, id, id - 1, trace as i64 * 1_000_000_000))
    });
    vec![group("shop", spans.collect())]
}

#[tokio::test]
async fn a_lookup_makes_few_requests() {
    let whole = WriteOptions::default();
    let (store, meta) = stored(&seven_each(5_000), &whole).await;
    let file = open(&store, &meta);
    let requests = |id| {
        let file = file.clone();
        async move {
            let before = file.counters().requests();
            let spans = read_trace(file.clone(), id, NO_LIMIT).await.unwrap();
            let requests = file.counters().requests() - before;
            (count(&spans.into_groups()), requests)
        }
    };
    // Filter, footer, ids, rows.
    assert_eq!(requests(trace_id(4_000)).await, (7, 4));
    // The filter, the footer and the ids are known, and all chunks are verified.
    assert_eq!(requests(trace_id(10)).await, (7, 1));
    assert_eq!(requests(trace_id(9_999)).await, (0, 0));
}

#[tokio::test]
async fn a_trace_is_cut_to_its_size() {
    let spans = (1..=3_000).map(|id| {
        let mut span = span(1, id, id.saturating_sub(1), id as i64);
        span.attributes = vec![text("k", "a value of some length")];
        span
    });
    let groups = [group("shop", spans.collect())];
    let (store, meta) = stored(&groups, &WriteOptions::default()).await;
    let file = open(&store, &meta);
    let all = read_trace(file.clone(), trace_id(1), NO_LIMIT)
        .await
        .unwrap();
    assert!(all.is_complete());
    let cut = read_trace(file, trace_id(1), 100_000).await.unwrap();
    assert!(!cut.is_complete());
    let (all, cut) = (all.into_groups(), cut.into_groups());
    assert_eq!(count(&all), 3_000);
    assert!((800..1_100).contains(&count(&cut)), "{}", count(&cut));
    assert_eq!(
        cut[0].spans[..],
        all[0].spans[..count(&cut)],
        "not its beginning"
    );
    let live = live_trace(&block(&groups), trace_id(1), 100_000).unwrap();
    assert_eq!(live.into_groups(), cut);
}

#[test]
fn parts_are_joined_without_repetition() {
    let root = span(1, 1, 0, 0);
    let (child, late) = (span(1, 2, 1, 5), span(1, 3, 1, 9));
    let part = |spans: &[&SpanGroup]| {
        let groups: Vec<SpanGroup> = spans.iter().map(|group| (*group).clone()).collect();
        live_trace(&block(&groups), trace_id(1), NO_LIMIT).unwrap()
    };
    let first = group("a", vec![root.clone(), child.clone()]);
    let second = group("a", vec![child.clone(), late.clone()]);
    // The same ids with another content are another span.
    let mut other = child.clone();
    other.name = "other".to_owned();
    let third = group("b", vec![other.clone(), child.clone()]);
    let mut trace = TraceSpans::new(NO_LIMIT);
    for group in [&first, &second, &third] {
        trace.merge(part(&[group]));
    }
    let groups = trace.into_groups();
    assert_eq!(groups[0].spans, [root, child.clone(), late]);
    let mut of_b = groups[1].spans.clone();
    of_b.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(of_b, [child, other]);
    assert_eq!(groups.len(), 2);

    let mut trace = TraceSpans::new(100);
    trace.merge(part(&[&first]));
    trace.merge(part(&[&second]));
    assert!(!trace.is_complete());
}
