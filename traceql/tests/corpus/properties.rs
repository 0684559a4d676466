//! Random queries and random texts.
//!
//! Each test prints the seed it runs with; `TEST_SEED` repeats a run.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use traceql::{
    Dialect, Verdict, compile_with, notices, parse_attribute, parse_with, validate, verdict,
    verdict_with,
};

use crate::canonical::assert_round_trip;
use crate::generate;

fn check<S: Strategy<Value: Debug>>(name: &str, cases: u32, strategy: &S, test: impl Fn(S::Value)) {
    let seed = std::env::var("TEST_SEED").map_or_else(
        |_| RandomState::new().hash_one(name),
        |seed| seed.parse().unwrap(),
    );
    println!("{name}: TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new_with_rng(config, rng).run(strategy, |value| {
        test(value);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, value)) => panic!("TEST_SEED={seed}: {reason}\n{value:#?}"),
    }
}

/// What must hold for any text whatever. The fuzz targets check the same.
fn assert_sane(text: &str) {
    for dialect in Dialect::ALL {
        let options = dialect.into();
        let compiled = compile_with(text, &options);
        match &compiled {
            Ok(query) => {
                let printed = query.to_string();
                let again = compile_with(&printed, &options)
                    .unwrap_or_else(|e| panic!("{text}\n{}", e.render(&printed)));
                assert_eq!(&again, query, "{text}");
                for notice in notices(query) {
                    assert!(text.get(notice.range.start..notice.range.end).is_some());
                }
            }
            Err(error) => {
                assert_eq!(error.verdict(), verdict_with(text, &options));
                assert!(!error.to_string().contains('\n'), "{error}");
                assert!(error.render(text).contains('^'));
            }
        }
        if let Ok(query) = parse_with(text, &options) {
            assert_round_trip(&query);
            // Checking does not depend on how the query was written.
            let verdict_of_tree = validate(&query).err().map(|error| error.verdict());
            assert_eq!(
                verdict_of_tree,
                compiled.err().map(|error| error.verdict()),
                "{text}"
            );
        }
    }
    // What Tempo takes, we take, but for what makes no sense of a parent span in a metric's `by`.
    if !text.contains("parent") && verdict_with(text, &Dialect::Tempo.into()) == Verdict::Valid {
        assert_eq!(verdict(text), Verdict::Valid, "{text}");
    }
    if let Ok(attribute) = parse_attribute(text) {
        assert_eq!(parse_attribute(&attribute.canonical()), Ok(attribute));
    }
}

#[test]
fn random_trees_round_trip() {
    check(
        "random_trees_round_trip",
        500,
        &generate::query(),
        |query| {
            assert_round_trip(&query);
            assert_sane(&query.to_string());
        },
    );
}

#[test]
fn random_attributes_round_trip() {
    check(
        "random_attributes_round_trip",
        2000,
        &generate::attribute(),
        |attribute| {
            assert_eq!(parse_attribute(&attribute.canonical()), Ok(attribute));
        },
    );
}

#[test]
fn random_tokens_are_handled() {
    let token = prop_oneof![
        4 => select(TOKENS).prop_map(str::to_owned),
        1 => generate::attribute().prop_map(|attribute| attribute.canonical()),
        1 => "[0-9.eEpxsmhdwyunµ_]{1,8}",
    ];
    let separator = prop_oneof![3 => Just(" "), 1 => Just("")];
    let soup = prop::collection::vec((token, separator), 0..40).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(token, space)| token + space)
            .collect::<String>()
    });
    check("random_tokens_are_handled", 3000, &soup, |text| {
        assert_sane(&text)
    });
}

#[test]
fn random_characters_are_handled() {
    check(
        "random_characters_are_handled",
        3000,
        &"\\PC{0,60}",
        |text| assert_sane(&text),
    );
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    check("random_bytes_are_handled", 3000, &bytes, |bytes| {
        assert_sane(&String::from_utf8_lossy(&bytes));
    });
}

/// Known queries with a piece cut out, doubled, or replaced by a piece of another.
#[test]
fn damaged_queries_are_handled() {
    let corpus: Vec<String> = crate::cases().into_iter().map(|(text, _)| text).collect();
    let part = || {
        (
            select(corpus.clone()),
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
        )
    };
    let damaged = (part(), part()).prop_map(|((text, from, to), (other, other_from, other_to))| {
        let cut = |text: &str, from: prop::sample::Index, to: prop::sample::Index| {
            let length = text.chars().count() + 1;
            let (from, to) = (from.index(length), to.index(length));
            (from.min(to), from.max(to))
        };
        let (from, to) = cut(&text, from, to);
        let (other_from, other_to) = cut(&other, other_from, other_to);
        let head = text.chars().take(from);
        let middle = other.chars().skip(other_from).take(other_to - other_from);
        head.chain(middle)
            .chain(text.chars().skip(to))
            .collect::<String>()
    });
    check("damaged_queries_are_handled", 3000, &damaged, |text| {
        assert_sane(&text)
    });
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    ",",
    ".",
    "=",
    "!=",
    "=~",
    "!~",
    "!",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "&&",
    "||",
    "|",
    ">>",
    "<<",
    "~",
    "!>",
    "!<",
    "!>>",
    "!<<",
    "&>",
    "&<",
    "&>>",
    "&<<",
    "&~",
    "&",
    "\"",
    "`",
    "'",
    "\\",
    "#",
    "[",
    "]",
    "//",
    "/*",
    "*/",
    "\n",
    "true",
    "false",
    "nil",
    "ok",
    "error",
    "server",
    "duration",
    "name",
    "status",
    "kind",
    "parent",
    "rootName",
    "nestedSetParent",
    "span:",
    "trace:",
    "event:",
    "link:",
    "id",
    "traceID",
    "childCount",
    "span.",
    "resource.",
    "parent.",
    ".a",
    "span.b",
    "event.c",
    "parent.d",
    "trace:id",
    "count",
    "count()",
    "avg(",
    "max(",
    "by",
    "by(",
    "coalesce()",
    "select(",
    "rate()",
    "| rate()",
    "count_over_time()",
    "quantile_over_time(",
    "max_over_time(",
    "compare({",
    "topk(3)",
    "bottomk(",
    "with(",
    "x=1",
    "minInt",
    "maxInt",
    "0",
    "1",
    "017",
    "1.5",
    "1e3",
    "0x1p3",
    "10ms",
    "1d12h",
    "\"x\"",
    "\"000abc\"",
    "`y`",
    "\"a|b\"",
    "foo",
    "and",
    "größe",
    "{ .a }",
    "({ .a } | count() > 1)",
    "({ .b } | count())",
    "| count() > 1",
    "parent:",
    "parent:name",
    "selfTime",
    "({ .a } | rate())",
    "({ } | max_over_time(duration) by(name))",
    "* 2",
];
