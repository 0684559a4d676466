//! Queries that cannot be answered: the error names what is wrong with them.

use std::path::Path;

use engine::EngineError;
use testkit::corpus::CorpusFile;

use crate::corpora::EVER;
use crate::recorded::ALWAYS;
use crate::support::{Bench, Layout, block_on};

const SPANS: &str = "\
trace 1
  a/root @1s +1s i=0 s=\"x\" arr=[1,2] error
    event e +1ms n=0
    a/child @2s +1s flag=true
";

#[test]
fn what_fails_on_a_span_is_named() {
    let file = CorpusFile::parse(Path::new("spans"), SPANS).expect("the spans parse");
    let failures = [
        (
            "{ !.missing }",
            "`!` is not a boolean on some span: .missing",
        ),
        ("{ !span.s }", "`!` is not a boolean on some span: span.s"),
        // Few spans are expected to pass, which are read in another way.
        (
            "{ status = error && !span.s }",
            "`!` is not a boolean on some span: span.s",
        ),
        (
            "{ !parent.flag }",
            "`!` is not a boolean on some span: parent.flag",
        ),
        (
            "{ -span.s < 1 }",
            "unary `-` is not a number on some span: -span.s",
        ),
        ("{ 1 / span.i > 0 }", "integer division by zero: 1 / span.i"),
        ("{ 7 % span.i > 0 }", "integer division by zero: 7 % span.i"),
        (
            "{ 1 / event.n = 1 }",
            "integer division by zero: 1 / event.n",
        ),
        (
            "{ span.arr + 1 > 2 }",
            "an array value cannot be used in: span.arr + 1",
        ),
        (
            "{ span.arr = span.arr }",
            "an array value cannot be used in: span.arr = span.arr",
        ),
        (
            "{ } | 1 / (count() - 2) > 0",
            "integer division by zero: 1 / (count() - 2)",
        ),
        (
            "{ } | by(1 / span.i)",
            "integer division by zero: 1 / span.i",
        ),
        (
            "{ } | sum(1 % span.i) > 0",
            "integer division by zero: 1 % span.i",
        ),
        (
            "({ } | by(name)) > ({ } | count() > 0)",
            "several spansets in some trace, where one is needed: ({ } | by(name)) > ({ }",
        ),
        (
            "({ } | by(name) | count()) > 0",
            "several spansets in some trace, where one is needed: ({ } | by(name) | count())",
        ),
    ];
    block_on(async {
        let mut bench = Bench::new();
        for layout in Layout::ALL {
            let slices = bench.lay_out(&file.groups, layout).await;
            for (text, part) in failures {
                let query = traceql::compile(text).expect("the query compiles");
                let found = bench.find(&query, EVER, 10, slices.clone()).await;
                check(text, part, found.err());
                let text = format!("{text} | rate()");
                // Not of everything that can be searched for there is a metric.
                if traceql::compile(&text).is_ok() {
                    let answer = bench.run(&text, ALWAYS, slices.clone()).await;
                    check(&text, part, answer.err());
                }
            }
        }
    });
}

fn check(text: &str, part: &str, error: Option<EngineError>) {
    let error = error.expect(text);
    assert!(
        matches!(error, EngineError::Evaluation(_)),
        "{text}: {error}"
    );
    assert!(error.to_string().contains(part), "{text}: {error}");
}

#[test]
fn what_does_not_compile_is_named() {
    let deep = format!("{{ {}true{} }}", "(".repeat(5000), ")".repeat(5000));
    let negated = format!("{{ {}.a }}", "!".repeat(5000));
    for (text, part) in [
        ("{ duration =~ \"1.*\" }", "=~"),
        ("{ span.i =~ 5 }", "=~"),
        ("{ span.s =~ \"(\" }", "regular expression"),
        ("{ span:durration > 1s }", "span:durration"),
        ("{ durration > 1s }", "durration"),
        ("{ spam.x = 1 }", "spam"),
        ("{ status > ok }", ">"),
        ("{ } | sum(name) > 1", "sum()"),
        ("{ } | rate() by (.a, .b, .c, .d, .e, .f)", "6"),
        (deep.as_str(), "nested too deeply"),
        (negated.as_str(), "nested too deeply"),
    ] {
        let error = traceql::compile(text).expect_err(text).to_string();
        let shown: String = text.chars().take(60).collect();
        assert!(error.contains(part), "{shown}: {error}");
    }
}

/// A search has no series, and series have no spans.
#[test]
fn the_wrong_kind_of_query_is_named() {
    let analyse = |text| {
        let query = traceql::compile(text).expect("the query compiles");
        (
            engine::SeriesPlan::analyse(&query).map(|_| ()),
            engine::search::SearchPlan::analyse(&query).map(|_| ()),
        )
    };
    let (series, search) = analyse("{ span.a } | count() > 1");
    assert!(search.is_ok());
    let error = series.expect_err("a search").to_string();
    assert!(error.contains("| rate()"), "{error}");
    let (series, search) = analyse("({ } | rate()) / 2");
    assert!(series.is_ok());
    let error = search.expect_err("arithmetic").to_string();
    assert!(
        error.contains("arithmetic between metrics queries"),
        "{error}"
    );
}
