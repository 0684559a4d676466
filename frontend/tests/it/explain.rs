//! EXPLAIN prints the steps of a query in order.

use std::sync::Arc;

use crate::common::{T0, spans};
use engine::{Engine, EngineOptions, Grid};
use frontend::{Dialect, ExplainMode, Frontend, FrontendConfig, RangeRequest};
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::SystemClock;
use storage::ids::TenantId;

const S: i64 = 1_000_000_000;

#[tokio::test]
async fn steps_are_printed_in_order() {
    let engine = Engine::try_new(
        Arc::new(InMemory::new()),
        Path::from(""),
        &EngineOptions::default(),
    )
    .unwrap();
    let registry = prometheus::Registry::new();
    let config = FrontendConfig::default();
    let clock = Arc::new(SystemClock);
    let frontend = Frontend::try_new(
        Arc::new(engine),
        Arc::new(spans()),
        config,
        &registry,
        clock,
    )
    .unwrap();
    let request = RangeRequest {
        tenants: vec![TenantId::single()],
        query: "{ resource.service.name = \"cart\" } | rate()".to_owned(),
        dialect: Dialect::default(),
        grid: Grid::aligned(T0 * S, (T0 + 20) * S, 10 * S).unwrap(),
        max_series: None,
        exemplars: 0,
        timeout: None,
    };
    let steps = |explanation: frontend::Explanation| -> Vec<&'static str> {
        explanation.steps.iter().map(|(name, _)| *name).collect()
    };
    let all = [
        "parse", "snapshot", "analyse", "prune", "join", "cache", "split", "lower", "execute",
        "merge",
    ];
    let planned = frontend.explain(&request, ExplainMode::Plan).await.unwrap();
    let text = planned.to_string();
    assert!(text.contains("1 of 1 blocks"), "{text}");
    assert!(text.contains("1 jobs"), "{text}");
    assert!(text.contains("each block by itself"), "{text}");
    assert_eq!(steps(planned), all[..8]);
    let analyzed = frontend
        .explain(&request, ExplainMode::Analyze)
        .await
        .unwrap();
    assert!(
        analyzed.to_string().contains("1 series over 3 intervals"),
        "{analyzed}"
    );
    assert_eq!(steps(analyzed), all);

    // With spans beside the series.
    let shown = RangeRequest {
        exemplars: 1,
        ..request.clone()
    };
    let analyzed = frontend.explain(&shown, ExplainMode::Analyze).await;
    let (name, printed) = analyzed.unwrap().steps.pop().unwrap();
    assert_eq!(name, "exemplars");
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    assert_eq!(lines[0], "1 exemplars of 1 series");
    // The job that aggregated live spans has read what they are shown with.
    assert!(lines[1].starts_with("jobs=0/0 "), "{printed}");

    // Each operand takes the steps of its own.
    let ratio = RangeRequest {
        query: format!("({}) / ({{ }} | rate())", request.query),
        ..request
    };
    let analyzed = frontend
        .explain(&ratio, ExplainMode::Analyze)
        .await
        .unwrap();
    let of_operand = &all[2..all.len() - 1];
    let expected = [&all[..2], of_operand, of_operand, &all[all.len() - 1..]].concat();
    assert_eq!(steps(analyzed), expected);
}
