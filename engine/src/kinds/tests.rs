//! The plans of jobs, step by step, beside their queries in `testdata/plans`.
//!
//! Over spans in memory a plan is shown as it is lowered, and after each rule that changes it, so that
//! where a plan is not what it was, the step that made the difference shows. Over a stored block it
//! is shown as it runs: mostly one operator over encoded columns.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::collect;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::block::{
    BlockCache, EncodeOptions, MemoryBlock, ReadBack, WriteOptions, encode, store_block,
    write_parquet,
};
use storage::ids::{BlockId, SpanId, TenantId, TraceId};
use storage::model::{AnyValue, Attribute, Event, Resource, Span, SpanGroup};
use testkit::testdata::workspace_root;

use super::*;
use crate::context::QueryContext;
use crate::executor::{Engine, EngineOptions};
use crate::plan::SeriesPlan;
use crate::session;
use crate::slice::Slice;

const SECOND_NS: i64 = 1_000_000_000;

#[tokio::test]
async fn plans_are_what_they_were() {
    let folder = workspace_root().join("testdata/plans");
    let queries = std::fs::read_to_string(folder.join("queries.txt")).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let block = block();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let file = write_parquet(&block, &WriteOptions::default()).unwrap();
    let stored = store_block(&store, &Path::default(), file, ReadBack::Verify).await;
    let stored = Slice::Stored {
        block: stored.unwrap(),
        row_groups: vec![0],
    };
    let engine = Engine::try_new(store, Path::default(), &EngineOptions::default()).unwrap();
    for line in queries.lines().filter(|line| !line.starts_with('#')) {
        let (name, text) = line.split_once(": ").expect("a name and a query");
        let query = traceql::compile(text).expect("the query compiles");
        let plan = SeriesPlan::analyse(&query).expect("a metrics query");
        let plan = &plan.operands()[0];
        // Half a second is no whole one, so that the narrow column of times does not decide.
        let step_ns = if name == "half_seconds" {
            SECOND_NS / 2
        } else {
            SECOND_NS
        };
        let grid = Grid::aligned(0, 60 * SECOND_NS, step_ns).unwrap();
        let context = QueryContext::new(1 << 20, "test.memory");
        let explained = engine.explain_job(plan, grid, stored.clone(), &context, false);
        let printed = format!(
            "{plan}\n\n=== in memory\n{}\n=== stored\n{}",
            steps(plan, (&grid, text.contains("exemplars")), &block).await,
            explained.await.unwrap(),
        );
        settings.bind(|| insta::assert_snapshot!(name, printed));
    }
}

/// The plan over spans in memory as it is lowered, and after each rule that changes it.
async fn steps(plan: &MetricsPlan, grid: (&Grid, bool), block: &Arc<MemoryBlock>) -> String {
    let session = Arc::new(session::of_jobs());
    let limit = MemoryLimit {
        bytes: 1 << 20,
        key: "test.memory",
    };
    let lowered = Lowered::lower(plan, grid, &block.meta, limit).unwrap();
    let scan = Scan {
        store: Arc::new(InMemory::new()),
        prefix: Path::default(),
        cache: Arc::new(BlockCache::new(0, 0)),
        session: Arc::clone(&session),
        general: true,
        slice: Slice::Live(Arc::clone(block)),
        context: QueryContext::new(1 << 20, "test.memory"),
    };
    let spans = scan.open().await.unwrap().expect("a block has spans");
    let scan = spans.scan(&lowered.columns()).unwrap();
    let logical = match &lowered {
        Lowered::Aggregate(_, job) => job.logical_plan(scan),
        Lowered::Compare(job) => job.logical_plan(scan),
    };
    explained(logical.unwrap(), &session).await
}

/// What DataFusion's own EXPLAIN VERBOSE tells, without the steps that changed nothing.
async fn explained(plan: LogicalPlan, session: &SessionState) -> String {
    let plan = LogicalPlanBuilder::from(plan).explain(true, false).unwrap();
    let plan = session.optimize(&plan.build().unwrap()).unwrap();
    let plan = session.create_physical_plan(&plan).await.unwrap();
    let batches = collect(plan, session.task_ctx()).await.unwrap();
    let mut steps = String::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let [name, text] = [0, 1].map(|column| {
                array_value_to_string(batch.column(column), row).expect("both columns are texts")
            });
            // What is there of statistics and schemas is said by what stands around it.
            let repeats = name.contains("_with_");
            if text != "SAME TEXT AS ABOVE" && !repeats {
                writeln!(steps, "--- {name}\n{}", text.trim_end()).unwrap();
            }
        }
    }
    steps
}

/// A trace of two services, with an attribute of two types, and an event.
fn block() -> Arc<MemoryBlock> {
    let attribute = |key: &str, value: AnyValue| Attribute {
        key: key.into(),
        value,
    };
    let span = |id: u8, name: &str, attributes: Vec<Attribute>| Span {
        trace_id: TraceId([1; 16]),
        span_id: SpanId([id; 8]),
        parent_span_id: (id > 1).then_some(SpanId([id - 1; 8])),
        name: name.to_owned(),
        kind: 2,
        start_ns: i64::from(id) * SECOND_NS,
        end_ns: i64::from(id) * SECOND_NS + 5,
        attributes,
        ..Span::default()
    };
    let group = |service: &str, spans: Vec<Span>| SpanGroup {
        resource: Arc::new(Resource {
            attributes: vec![attribute("service.name", AnyValue::String(service.into()))],
            ..Resource::default()
        }),
        scope: Arc::default(),
        spans,
    };
    let status = |code| attribute("http.status_code", AnyValue::Int(code));
    let mut failed = span(
        3,
        "charge",
        vec![status(500), attribute("size", AnyValue::Double(1.5))],
    );
    failed.events.push(Event {
        name: "exception".to_owned(),
        ..Event::default()
    });
    let divisor = attribute("divisor", AnyValue::Int(3));
    let groups = [
        group(
            "cart",
            vec![span(1, "checkout", vec![status(200), divisor])],
        ),
        group(
            "payment",
            vec![
                span(2, "pay", vec![attribute("size", AnyValue::Int(7))]),
                failed,
            ],
        ),
    ];
    let options = EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid(1)));
    Arc::new(encode(&groups, &options).unwrap())
}
