//! Whoever watches a query sees answers on the way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use engine::Grid;
use frontend::{
    Answer, Dialect, ExplainMode, Frontend, FrontendConfig, Observe, RangeRequest, Step,
};
use storage::ids::TenantId;

use crate::refresh::{Random, spans};
use crate::stored::{Mixed, frontend_over};

const S: i64 = 1_000_000_000;
const BLOCKS: usize = 6;

/// Takes so many answers on the way.
struct Interims {
    wanted: usize,
    answers: Vec<Answer>,
    steps: Vec<&'static str>,
}

impl Interims {
    fn new(wanted: usize) -> Self {
        Self {
            wanted,
            answers: Vec::new(),
            steps: Vec::new(),
        }
    }
}

impl Observe for Interims {
    fn step(&mut self, step: Step, _: &dyn fmt::Display) {
        self.steps.push(step.name());
    }

    fn wants_interim(&self) -> bool {
        self.answers.len() < self.wanted
    }

    async fn interim(&mut self, answer: Answer) {
        tokio::task::yield_now().await;
        self.answers.push(answer);
    }
}

/// A frontend over blocks that are read one after the other.
fn one_by_one() -> Frontend {
    let mut source = Mixed::new();
    let mut random = Random(3);
    for _ in 0..BLOCKS {
        source.keep_live(&spans(&mut random, 40, 0, 300));
    }
    let mut config = FrontendConfig::default();
    config.query_frontend.metrics.concurrent_jobs = 1;
    frontend_over(&Arc::clone(&source.store), source, config)
}

fn request(query: &str) -> RangeRequest {
    let t0 = crate::common::T0;
    RangeRequest {
        tenants: vec![TenantId::single()],
        query: query.to_owned(),
        dialect: Dialect::default(),
        grid: Grid::aligned(t0 * S, (t0 + 300) * S, 60 * S).unwrap(),
        max_series: None,
        exemplars: 5,
        timeout: None,
    }
}

/// The count of each series in each interval.
fn counts(answer: &Answer) -> BTreeMap<(String, usize), f64> {
    let series = answer.series.series.iter();
    let counts = series.flat_map(|series| {
        let labels = format!("{:?}", series.labels);
        let samples = series.values.samples();
        samples.map(move |(interval, count)| ((labels.clone(), interval), count))
    });
    counts.collect()
}

#[tokio::test]
async fn answers_on_the_way_grow_into_the_answer() {
    let frontend = one_by_one();
    let request = request("{} | count_over_time() by (resource.service.name)");
    let mut seen = Interims::new(usize::MAX);
    let answer = frontend.watch(&request, &mut seen).await.unwrap().unwrap();
    assert_eq!(answer.stats.jobs_total, BLOCKS as u64);
    // After each block but the last, of which the answer itself comes.
    assert_eq!(seen.answers.len(), BLOCKS - 1);
    let mut jobs = 0;
    let mut before = BTreeMap::new();
    let total = |counts: &BTreeMap<_, f64>| counts.values().sum::<f64>();
    for interim in seen.answers.iter().chain([&answer]) {
        let now = counts(interim);
        for (place, count) in &before {
            assert!(now[place] >= *count, "{place:?}");
        }
        assert!(total(&now) > total(&before));
        assert!(interim.stats.jobs_completed > jobs);
        (before, jobs) = (now, interim.stats.jobs_completed);
    }
    assert!(
        (total(&before) - 240.0).abs() < 0.5,
        "all spans are counted"
    );
    let unwatched = frontend.query_range(&request).await.unwrap();
    assert_eq!(answer.series, unwatched.series);
    assert_eq!(answer.exemplars, unwatched.exemplars);
    assert_eq!(seen.steps.last(), Some(&"exemplars"));
    assert!(!seen.steps.contains(&"lower"));
}

#[tokio::test]
async fn only_answers_that_are_wanted_are_made() {
    let frontend = one_by_one();
    let counted = "({} | count_over_time())";
    let mut seen = Interims::new(1);
    let doubled = request(&format!("{counted} * 2"));
    let answer = frontend.watch(&doubled, &mut seen).await.unwrap().unwrap();
    assert_eq!(seen.answers.len(), 1);
    // What is computed with the series is computed on the way, too.
    for (place, count) in counts(&seen.answers[0]) {
        assert!(count % 2.0 == 0.0 && count <= counts(&answer)[&place]);
    }
    // The beginnings of both operands say nothing about their ratio.
    let mut seen = Interims::new(usize::MAX);
    let ratio = request(&format!("{counted} / {counted}"));
    frontend.watch(&ratio, &mut seen).await.unwrap().unwrap();
    assert!(seen.answers.is_empty());
}

#[tokio::test]
async fn explain_shows_the_steps_that_an_answer_takes() {
    let frontend = one_by_one();
    for query in [
        "{} | rate()",
        "({} | rate()) / ({ status = error } | rate())",
        "{ name = \"get\" } >> { status = error } | count_over_time()",
    ] {
        let request = request(query);
        let mut seen = Interims::new(0);
        frontend.watch(&request, &mut seen).await.unwrap();
        let explained = frontend.explain(&request, ExplainMode::Analyze).await;
        let steps = explained.unwrap().steps.into_iter().map(|(name, _)| name);
        let steps: Vec<_> = steps.filter(|name| *name != "lower").collect();
        assert_eq!(steps, seen.steps, "{query}");
    }
}
