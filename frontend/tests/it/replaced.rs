//! Blocks that go away between the moment a query learns of them and the moment it reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use engine::Grid;
use frontend::names::NamesRequest;
use frontend::{
    Answer, Dialect, ExplainMode, Frontend, FrontendConfig, RangeRequest, SearchRequest,
    TraceRequest,
};
use storage::StorageError;
use storage::ids::TenantId;
use storage::model::SpanGroup;
use storage::snapshot::{Snapshot, SnapshotSource, Times};

use crate::common::T0;
use crate::refresh::{Random, spans};
use crate::stored::{Mixed, frontend_over};

const S: i64 = 1_000_000_000;

/// What is named first, and what is named from then on.
#[derive(Debug, Clone)]
struct Replaced {
    first: Mixed,
    then: Mixed,
    taken: Arc<AtomicUsize>,
}

#[async_trait]
impl SnapshotSource for Replaced {
    async fn snapshot(&self, tenant: &TenantId, times: &Times) -> Result<Snapshot, StorageError> {
        match self.taken.fetch_add(1, Ordering::SeqCst) {
            0 => self.first.snapshot(tenant, times).await,
            _ => self.then.snapshot(tenant, times).await,
        }
    }
}

fn groups() -> Vec<SpanGroup> {
    spans(&mut Random(5), 60, 0, 300)
}

/// Two blocks, of which the first is not in the store any more; from the second look on there is one
/// that holds the spans of both.
async fn compacted() -> Replaced {
    let groups = groups();
    let (older, newer) = groups.split_at(30);
    let mut first = Mixed::new();
    let gone = first.store(older).await;
    let kept = first.store(newer).await;
    let mut then = first.clone();
    then.store(&groups).await;
    then.forget(gone);
    then.forget(kept);
    first.delete(gone).await;
    Replaced {
        first,
        then,
        taken: Arc::default(),
    }
}

fn over(source: &Replaced) -> Frontend {
    source.taken.store(0, Ordering::SeqCst);
    frontend_over(
        &source.first.store,
        source.clone(),
        FrontendConfig::default(),
    )
}

fn request(query: &str) -> RangeRequest {
    RangeRequest {
        tenants: vec![TenantId::single()],
        query: query.to_owned(),
        dialect: Dialect::default(),
        grid: Grid::aligned((T0 - 10) * S, (T0 + 310) * S, 10 * S).unwrap(),
        max_series: None,
        exemplars: 4,
        timeout: None,
    }
}

#[tokio::test]
async fn a_query_reads_what_replaced_a_block() {
    let source = compacted().await;
    let plain = frontend_over(
        &source.first.store,
        source.then.clone(),
        FrontendConfig::default(),
    );
    for query in [
        "{} | rate() by (resource.service.name)",
        "{ span.n > 5 } | avg_over_time(span.n)",
        "{ name = \"get\" } >> { } | count_over_time()",
        "({ status = error } | rate()) / ({} | rate())",
    ] {
        let expected = plain.query_range(&request(query)).await.unwrap();
        assert!(!expected.series.series.is_empty(), "{query}");
        let found = over(&source).query_range(&request(query)).await.unwrap();
        // As text, in which NaN equals itself.
        let series = |answer: &Answer| format!("{:?}", answer.series);
        assert_eq!(series(&found), series(&expected), "{query}");
        assert_eq!(found.exemplars, expected.exemplars, "{query}");
        assert_eq!(source.taken.load(Ordering::SeqCst), 2, "{query}");
    }
    let (frontend, request) = (over(&source), request("{} | rate()"));
    let explained = frontend.explain(&request, ExplainMode::Analyze).await;
    let steps = explained.unwrap().steps;
    let snapshots = steps.iter().filter(|(name, _)| *name == "snapshot");
    let snapshots: Vec<_> = snapshots.map(|(_, printed)| printed.as_str()).collect();
    assert!(
        snapshots[0].ends_with("stored=2 live=0 elsewhere=0"),
        "{snapshots:?}"
    );
    assert!(
        snapshots[1].ends_with("stored=1 live=0 elsewhere=0"),
        "{snapshots:?}"
    );
}

#[tokio::test]
async fn searches_traces_and_values_do_so_too() {
    let source = compacted().await;
    let plain = frontend_over(
        &source.first.store,
        source.then.clone(),
        FrontendConfig::default(),
    );
    let tenants = vec![TenantId::single()];
    let search = SearchRequest {
        tenants: tenants.clone(),
        query: "{ status = error }".to_owned(),
        dialect: Dialect::default(),
        start_ns: 0,
        end_ns: i64::MAX,
        limit: 100,
        spans_per_spanset: 3,
    };
    let found = over(&source).search(&search).await.unwrap();
    assert_eq!(found.traces, plain.search(&search).await.unwrap().traces);
    assert!(!found.traces.is_empty());
    assert_eq!(source.taken.load(Ordering::SeqCst), 2);

    let trace = TraceRequest {
        tenants: tenants.clone(),
        trace_id: groups()[0].spans[0].trace_id,
        start_ns: None,
        end_ns: None,
    };
    let found = over(&source).trace(&trace).await.unwrap();
    assert_eq!(found.groups, plain.trace(&trace).await.unwrap().groups);
    assert!(!found.groups.is_empty());
    assert_eq!(source.taken.load(Ordering::SeqCst), 2);

    let names = NamesRequest {
        tenants,
        start_ns: 0,
        end_ns: i64::MAX,
        filter: None,
    };
    let name = traceql::parse_attribute("span.n").unwrap();
    let limits = plain.value_limits();
    let found = over(&source).values(&names, &name, limits).await.unwrap();
    let expected = plain.values(&names, &name, limits).await.unwrap();
    assert_eq!(found.values, expected.values);
    assert!(!found.values.is_empty());
    assert_eq!(source.taken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_block_that_stays_away_fails_the_query() {
    let mut source = compacted().await;
    source.then = source.first.clone();
    let error = over(&source).query_range(&request("{} | rate()")).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no such object"), "{error}");
    assert_eq!(source.taken.load(Ordering::SeqCst), 2);
}
