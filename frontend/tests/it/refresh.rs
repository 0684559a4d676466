//! What is kept of earlier queries never changes an answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::Grid;
use frontend::{Answer, Dialect, ExplainMode, Frontend, FrontendConfig, QueryError, RangeRequest};
use futures::future::join_all;
use storage::StorageError;
use storage::ids::{SpanId, TenantId, TraceId};
use storage::model::{AnyValue, Attribute, InstrumentationScope, Resource, Span, SpanGroup};
use storage::snapshot::{Snapshot, SnapshotSource, Times};

use crate::stored::{Mixed, frontend_over};

const S: i64 = 1_000_000_000;
/// When spans begin.
const T0: i64 = 1_700_000_000;

/// Spans that become more while queries are answered.
#[derive(Debug, Clone)]
struct Growing(Arc<Mutex<Mixed>>);

impl Growing {
    fn now(&self) -> Mixed {
        self.0.lock().unwrap().clone()
    }

    async fn store(&self, groups: &[SpanGroup], row_group_rows: usize) {
        let mut mixed = self.now();
        mixed.store_in_groups(groups, row_group_rows).await;
        *self.0.lock().unwrap() = mixed;
    }
}

#[async_trait]
impl SnapshotSource for Growing {
    async fn snapshot(&self, tenant: &TenantId, times: &Times) -> Result<Snapshot, StorageError> {
        let now = self.now();
        now.snapshot(tenant, times).await
    }
}

fn frontend(source: &Growing, cache_bytes: u64) -> Frontend {
    let mut config = FrontendConfig::default();
    config.query_frontend.cache.max_bytes = cache_bytes;
    frontend_over(&source.now().store, source.clone(), config)
}

/// Numbers that look random: a linear congruential generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn range(&mut self, start: i64, end: i64) -> i64 {
        start + i64::try_from(self.below(u64::try_from(end - start).unwrap())).unwrap()
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Some spans that start in these seconds, of traces that may have others elsewhere.
pub(crate) fn spans(random: &mut Random, count: u64, from_s: i64, to_s: i64) -> Vec<SpanGroup> {
    let attribute = |key: &str, value| Attribute {
        key: key.into(),
        value,
    };
    let span = |_| {
        let service = random.pick(&["cart", "shop", "pay"]);
        let start_ns = (T0 + random.range(from_s, to_s)) * S + random.range(-1, 2);
        let number = 1 + random.below(255);
        let id = u8::try_from(number).unwrap();
        let parent = u8::try_from(random.below(256)).unwrap();
        let mut attributes = Vec::new();
        if random.below(3) > 0 {
            attributes.push(attribute("n", AnyValue::Int(random.range(-3, 40))));
        }
        if random.below(40) == 0 {
            attributes.push(attribute("n", AnyValue::String("text".to_owned())));
        }
        // Traces last for some minutes, so that blocks that are near in time share some.
        let trace = start_ns / (90 * S) * 8 + random.range(0, 8);
        let trace_id = TraceId(u128::try_from(trace).unwrap().to_be_bytes());
        SpanGroup {
            resource: Arc::new(Resource {
                attributes: vec![attribute(
                    "service.name",
                    AnyValue::String(service.to_owned()),
                )],
                ..Resource::default()
            }),
            scope: Arc::new(InstrumentationScope::default()),
            spans: vec![Span {
                trace_id,
                span_id: SpanId([id; 8]),
                parent_span_id: (parent > 0).then_some(SpanId([parent; 8])),
                name: random.pick(&["get", "put"]).to_owned(),
                start_ns,
                end_ns: start_ns + random.range(1, 3_000_000_000),
                status_code: random.pick(&[0, 2]),
                attributes,
                ..Span::default()
            }],
        }
    };
    (0..count).map(span).collect()
}

const QUERIES: [&str; 17] = [
    "{} | rate()",
    "{} | count_over_time() by (resource.service.name)",
    "{ status = error } | rate() by (resource.service.name, name)",
    "{ span.n > 20 } | count_over_time() by (span.n)",
    "{} | sum_over_time(duration) by (name)",
    "{} | avg_over_time(duration) by (resource.service.name)",
    "{} | min_over_time(span.n)",
    "{} | max_over_time(duration) by (span.n)",
    "{} | quantile_over_time(duration, .5, .9) by (name)",
    "{} | histogram_over_time(duration)",
    "{} | rate() by (span.n) | topk(2)",
    "{ resource.service.name = \"cart\" } >> { status = error } | rate() by (name)",
    "{} | count() > 3 | count_over_time() by (resource.service.name)",
    "{} | compare({ status = error }, 2)",
    "({ status = error } | rate()) / ({} | rate())",
    // Fail on some spans, so that where those are decides.
    "{ 10 / span.n > 1 } | count_over_time()",
    "{ name = \"put\" && !span.n } | count_over_time()",
];

fn request(random: &mut Random, end_s: i64) -> RangeRequest {
    let (from, to) = (random.range(-400, end_s), random.range(0, 700));
    let (from, to) = ((T0 + from) * S, (T0 + from + to + 1) * S);
    let grid = match random.below(8) {
        0 => Grid::instant(from, to),
        1 => Grid::of_samples(from + random.range(0, S), to + S, 30 * S + 7),
        2 => Grid::of_samples(from, to, 1000 * S),
        _ => Grid::aligned(from, to, random.pick(&[10 * S, 30 * S, 60 * S, S / 2])),
    };
    RangeRequest {
        tenants: vec![TenantId::single()],
        query: random.pick(&QUERIES).to_owned(),
        dialect: Dialect::default(),
        grid: grid.unwrap(),
        max_series: None,
        exemplars: random.pick(&[0, 0, 3, 100]),
        timeout: None,
    }
}

/// Labels and values to the bit, and exemplars.
type Shown = (Vec<(String, Vec<u64>)>, String);

/// What an answer shows, or the error.
fn shown(answer: &Result<Answer, QueryError>) -> Result<Shown, String> {
    let answer = answer.as_ref().map_err(ToString::to_string)?;
    let bits = |values: &engine::Values| values.iter().map(f64::to_bits).collect();
    let series = answer.series.series.iter();
    let series = series.map(|series| (format!("{:?}", series.labels), bits(&series.values)));
    Ok((series.collect(), format!("{:?}", answer.exemplars)))
}

#[tokio::test]
async fn answers_are_the_same_to_the_bit_whatever_was_asked_before() {
    let seed = std::env::var("SPANDREL_SEED").map_or(1, |seed| seed.parse().unwrap());
    let cases = std::env::var("SPANDREL_CASES").map_or(2, |cases| cases.parse().unwrap());
    let (mut kept, mut failed, mut answered) = (0, 0, 0);
    let mut asked = BTreeSet::new();
    for seed in seed..seed + cases {
        let mut random = Random(seed);
        let source = Growing(Arc::new(Mutex::new(Mixed::new())));
        // Some caches are so small that most of what they held is gone.
        let bytes = random.pick(&[256 << 20, 256 << 20, 60_000]);
        let (cached, plain) = (frontend(&source, bytes), frontend(&source, 0));
        let mut end_s = 0;
        let mut last = request(&mut random, 1);
        for step in 0..40 {
            match random.below(6) {
                0 | 1 => {
                    let late = random.range(0, 200);
                    let groups = spans(&mut random, 60, end_s - late, end_s + 200);
                    end_s += 150;
                    source.store(&groups, random.pick(&[20, 1000])).await;
                }
                2 if random.below(3) == 0 => {
                    let groups = spans(&mut random, 10, end_s - 60, end_s + 30);
                    source.0.lock().unwrap().keep_live(&groups);
                }
                // A dashboard that is refreshed.
                2 | 3 => last.grid.start_ns += last.grid.step_ns,
                _ => last = request(&mut random, end_s + 1),
            }
            let together = usize::try_from(1 + random.below(3)).unwrap();
            let expected = plain.query_range(&last).await;
            let expected_shown = shown(&expected);
            for answer in join_all((0..together).map(|_| cached.query_range(&last))).await {
                assert_eq!(
                    shown(&answer),
                    expected_shown,
                    "seed {seed}, step {step}: {} over {:?}",
                    last.query,
                    last.grid
                );
                match answer {
                    Ok(answer) => {
                        answered += usize::from(!answer.series.series.is_empty());
                        asked.insert(last.query.clone());
                        kept += answer.stats.states_kept + answer.stats.jobs_shared;
                    }
                    Err(_) => {
                        asked.insert(last.query.clone());
                        failed += 1;
                    }
                }
            }
            assert!(expected.map_or(true, |answer| answer.stats.states_kept == 0));
        }
    }
    // Or else this shows nothing.
    assert!(
        kept > 100 && failed > 0 && answered > 100,
        "{kept} {failed} {answered} {asked:?}"
    );
}

#[tokio::test]
async fn a_refresh_reads_only_what_is_new() {
    let mut random = Random(7);
    let source = Growing(Arc::new(Mutex::new(Mixed::new())));
    for block in 0..6 {
        let groups = spans(&mut random, 40, block * 100, block * 100 + 100);
        source.store(&groups, 10).await;
    }
    let frontend = frontend(&source, 256 << 20);
    let ask = |end_s: i64| RangeRequest {
        tenants: vec![TenantId::single()],
        query: QUERIES[1].to_owned(),
        dialect: Dialect::default(),
        grid: Grid::aligned((T0 + end_s - 300) * S, (T0 + end_s) * S, 10 * S).unwrap(),
        max_series: None,
        exemplars: 100,
        timeout: None,
    };
    let count = |answer: &Answer| answer.exemplars.iter().map(Vec::len).sum::<usize>();
    let store = source.now().store;
    let first = frontend.query_range(&ask(600)).await.unwrap();
    assert!(first.stats.inspected_spans > 0 && first.stats.states_kept == 0);
    assert!(!store.take_reads().is_empty());
    assert!(count(&first) > 10);
    for moved in [600, 610, 650] {
        let again = frontend.query_range(&ask(moved)).await.unwrap();
        assert!(count(&again) > 10);
        assert_eq!(again.stats.jobs_total, 0, "{moved}: {}", again.stats);
        assert_eq!(again.stats.inspected_bytes, 0);
        assert!(again.stats.states_kept > 0);
    }
    assert!(store.take_reads().is_empty());

    let groups = spans(&mut random, 40, 600, 700);
    source.store(&groups, 1000).await;
    let newest = source.now().newest_block();
    let more = frontend.query_range(&ask(700)).await.unwrap();
    // It is aggregated, and its exemplars are read.
    assert_eq!(more.stats.jobs_total, 2, "{}", more.stats);
    let read: Vec<_> = store.take_reads().into_keys().collect();
    assert_eq!(read, [newest]);

    let explained = frontend.explain(&ask(700), ExplainMode::Analyze).await;
    let text = explained.unwrap().to_string();
    assert!(
        text.contains("cache:\n  ") && text.contains("states kept"),
        "{text}"
    );
    assert!(text.contains("jobs=0/0"), "{text}");

    frontend.clear_cache();
    let cleared = frontend.query_range(&ask(700)).await.unwrap();
    assert_eq!(cleared.stats.states_kept, 0);
    assert!(cleared.stats.jobs_total > 0);
}
