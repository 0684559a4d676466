//! Expressions as long as the language allows are lowered once, not once per part of them: what grew
//! with the power of their length would not come to an end here.

use testkit::generate::nasty_traces;
use testkit::reference::metrics;

use crate::recorded::ALWAYS;
use crate::support::{Bench, as_reference, block_on};

fn check(condition: &str) {
    let query = format!("{{ {condition} }} | count_over_time()");
    let groups = nasty_traces(7, 4);
    let compiled = traceql::compile(&query).expect("the query compiles");
    let always = testkit::reference::Grid::instant(ALWAYS.start_ns, ALWAYS.end_ns());
    let expected = metrics(&compiled, &groups, always);
    let answer = block_on(async {
        let mut bench = Bench::new();
        let slices = bench.live(&groups);
        bench.run(&query, ALWAYS, slices).await
    });
    match (expected, answer) {
        (Ok(expected), Ok(answer)) => assert_eq!(expected, as_reference(&answer), "{query}"),
        (expected, answer) => {
            assert_eq!(expected.is_err(), answer.is_err(), "{query}: {answer:?}");
        }
    }
}

fn chain(parts: usize, joined_by: &str, part: impl Fn(usize) -> String) -> String {
    (0..parts).map(part).collect::<Vec<_>>().join(joined_by)
}

#[test]
fn many_alternatives() {
    check(&chain(200, " || ", |i| format!("name = \"n{i}\"")));
    check(&chain(60, " || ", |i| format!(".s{i} =~ \"x{i}\"")));
    check(&chain(100, " && ", |i| format!("event.s != \"n{i}\"")));
}

#[test]
fn conditions_on_conditions() {
    check(&chain(100, " = ", |i| {
        if i == 0 {
            "span.b".into()
        } else {
            "true".into()
        }
    }));
    check(&chain(100, " = ", |i| {
        if i == 0 {
            "!span.b".into()
        } else {
            "true".into()
        }
    }));
    check(&format!("{}span.b", "!".repeat(30)));
    check(&format!("span.i + 1{}", " = nil".repeat(60)));
}

#[test]
fn long_sums() {
    for operator in [" + ", " / "] {
        for attribute in ["span.i", "span.mixed"] {
            let sum = chain(500, operator, |_| attribute.into());
            check(&format!("{sum} > 5"));
        }
    }
    check(&format!("{}span.i < 3", "-".repeat(30)));
}
