//! Hostile texts end in an error, or in a tree that can be walked.

use traceql::{
    Cause, Dialect, ErrorKind, LimitExceeded, LimitName, Limits, Options, Verdict, compile,
    compile_with, parse, verdict,
};

#[track_caller]
fn limit_of(text: &str) -> LimitExceeded {
    let error = compile(text).unwrap_err();
    assert_eq!(
        (error.kind(), error.verdict()),
        (ErrorKind::Limit, Verdict::ParseError),
        "{error}"
    );
    assert!(error.render(text).len() < 1000);
    match error.diagnostic().cause {
        Cause::Limit(limit) => limit,
        ref other => panic!("{other}"),
    }
}

#[test]
fn long_texts() {
    let limit = limit_of(&" ".repeat(131_073));
    assert_eq!(
        (limit.name, limit.observed, limit.allowed),
        (LimitName::QueryBytes, 131_073, 131_072)
    );
    assert_eq!(
        verdict(&format!("{}{{ }}", " ".repeat(131_069))),
        Verdict::Valid
    );
    let message = compile(&" ".repeat(131_073)).unwrap_err().to_string();
    assert!(message.starts_with(
        "query text is too long, observed 131073, allowed 131072 (max_query_bytes) at line 1"
    ));
}

/// Messages repeat names of the query, but neither all of a long one nor a line break in one.
#[test]
fn long_names() {
    let long = "x".repeat(100_000);
    for text in [
        format!("{{ {long} }}"),
        format!("{{ {long}.a }}"),
        format!("{{ span:{long} }}"),
        format!("{{ 1{} }}", "1".repeat(100_000)),
        format!("{{ 1h{} }}", "1".repeat(100_000)),
        format!("{{ }} | {long}()"),
        format!("{{ }} | rate() by {long}"),
        format!("{{ }} {long}"),
        format!("{{ parent:{long} }}"),
        format!("{{ parent.{long} }}"),
        "{ parent.\"two\nlines\" }".to_owned(),
    ] {
        let error = compile_with(&text, &Dialect::Tempo.into()).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        assert!(error.render(&text).len() < 1000, "{error}");
    }
}

#[test]
fn deep_nesting() {
    for unit in ["(", "!", "-", "1 ^ ", "!(", "-(", "1 ^ (", ".a = ("] {
        let text = format!("{{ {}", unit.repeat(131_000 / unit.len()));
        assert_eq!(limit_of(&text).name, LimitName::Depth, "{unit}");
    }
    for unit in [
        "(",
        "({ } | { } ) && (",
        "({ } | ",
        "{ } && (",
        "{ } | (",
        "1 ^ ",
        "(1 + ",
    ] {
        let text = unit.repeat(131_000 / unit.len());
        assert_eq!(verdict(&text), Verdict::ParseError, "{unit}");
    }
    for unit in [
        "{", "}", ")", "|", "{ ", "({ })", "by(", "with(", "\"", "`", "/*", ".", "&",
    ] {
        let text = unit.repeat(131_000 / unit.len());
        assert_eq!(verdict(&text), Verdict::ParseError, "{unit}");
    }
}

#[test]
fn long_chains() {
    let or = vec![".a = 1"; 10_000].join(" || ");
    assert_eq!(limit_of(&format!("{{ {or} }}")).name, LimitName::Height);
    assert_eq!(
        limit_of(&vec!["{}"; 10_000].join(" || ")).name,
        LimitName::Height
    );
    assert_eq!(
        limit_of(&vec!["{}"; 10_000].join(" >> ")).name,
        LimitName::Height
    );
    assert_eq!(
        limit_of(&format!("{{ 1{} }}", " = nil".repeat(10_000))).name,
        LimitName::Height
    );
    assert_eq!(
        limit_of(&format!("{{ {}1 }}", "nil = ".repeat(10_000))).name,
        LimitName::Height
    );
    assert_eq!(
        limit_of(&vec!["{}"; 10_000].join("|")).name,
        LimitName::Nodes
    );
    let count = vec!["count()"; 10_000].join(" + ");
    assert_eq!(
        limit_of(&format!("{{ }} | {count} > 1")).name,
        LimitName::Height
    );
    let list = vec![".a"; 10_000].join(",");
    assert_eq!(limit_of(&format!("select({list})")).name, LimitName::Nodes);
    assert_eq!(
        limit_of(&format!("{{ }} | rate() by({list})")).name,
        LimitName::Nodes
    );
    let hints = vec!["a=1"; 10_000].join(",");
    assert_eq!(
        limit_of(&format!("{{ }} with({hints})")).name,
        LimitName::Nodes
    );
    assert_eq!(
        limit_of(&format!("{{ }} | rate() {}", "> 1".repeat(10_000))).name,
        LimitName::Nodes
    );
}

/// The tallest tree that is accepted can be printed, compared, checked, cloned and dropped on the
/// stack of a test thread.
#[test]
fn tallest_tree() {
    let chain = vec![".a = 1"; 512].join(" || ");
    let query = parse(&format!("{{ {chain} }}")).unwrap();
    assert_eq!(parse(&query.to_string()).unwrap(), query);
    assert!(format!("{query:?}").len() > 1000);
    let clone = query.clone();
    drop(query);
    assert_eq!(compile(&format!("{{ {chain} }}")).unwrap(), clone);

    // Brackets and chains together: each level has a chain of its own.
    let mut nested = ".a".to_owned();
    for _ in 0..63 {
        nested = format!("({nested}) && .b && .c && .d && .e && .f && .g");
    }
    let query = parse(&format!("{{ {nested} }}")).unwrap();
    assert_eq!(parse(&query.to_string()).unwrap(), query);

    // Printing does not nest more deeply.
    for unit in [
        "-",
        "!",
        "-.a * ",
        ".a ^ -",
        "!-.a * ",
        ".a * -.b ^ ",
        "-(.a = ",
        "!(.a || ",
    ] {
        let deepest = (0..).map_while(|count| {
            let close = ")".repeat(unit.matches('(').count() * count);
            parse(&format!("{{ {}.x{close} }}", unit.repeat(count))).ok()
        });
        let deepest = deepest.last().unwrap();
        assert_eq!(parse(&deepest.to_string()).unwrap(), deepest, "{unit}");
    }
}

#[test]
fn regular_expressions() {
    let long = "a".repeat(1025);
    assert_eq!(
        limit_of(&format!("{{ .a =~ \"{long}\" }}")).name,
        LimitName::RegexBytes
    );
    let large = "((\\\\pL{100}){100}){100}";
    assert_eq!(
        limit_of(&format!("{{ .a =~ \"{large}\" }}")).name,
        LimitName::RegexCompiledBytes
    );
    let many = vec![".a =~ \"x\""; 65].join(" || ");
    let limit = limit_of(&format!("{{ {many} }}"));
    assert_eq!(
        (limit.name, limit.observed, limit.allowed),
        (LimitName::RegexCount, 65, 64)
    );
}

#[test]
fn arithmetic_on_series() {
    let leaf = "({ } | rate())";
    for unit in ["(", "-", "1 ^ ", "-(", "2 * ("] {
        let text = format!("{}{leaf}", unit.repeat(100_000 / unit.len()));
        assert_eq!(limit_of(&text).name, LimitName::Depth, "{unit}");
    }
    let sum = format!("{leaf}{}", " + 1".repeat(10_000));
    assert_eq!(limit_of(&sum).name, LimitName::Height);
    let powers = format!("{leaf}{}", " ^ 1".repeat(10_000));
    assert_eq!(limit_of(&powers).name, LimitName::Depth);
    let filters = format!("{leaf}{}", " > 1".repeat(10_000));
    assert_eq!(limit_of(&filters).name, LimitName::Nodes);
    let many = |count| vec![leaf; count].join(" + ");
    assert_eq!(verdict(&many(16)), Verdict::Valid);
    let limit = limit_of(&many(17));
    assert_eq!(
        (limit.name, limit.observed, limit.allowed),
        (LimitName::MetricsOperands, 17, 16)
    );

    // The deepest is not nested more deeply when it is printed.
    for unit in ["-", "2 ^ ", "2 * -", "(2 - ", "-("] {
        let deepest = (0..).map_while(|count| {
            let close = ")".repeat(unit.matches('(').count() * count);
            parse(&format!("{}{leaf}{close}", unit.repeat(count))).ok()
        });
        let deepest = deepest.last().unwrap();
        assert_eq!(parse(&deepest.to_string()).unwrap(), deepest, "{unit}");
    }
}

#[test]
fn limits_can_be_lowered() {
    let options = Options {
        limits: Limits {
            max_depth: 1,
            max_height: 2,
            max_nodes: 6,
            ..Limits::default()
        },
        ..Options::default()
    };
    assert!(compile_with("{ (.a) && .b && .c }", &options).is_ok());
    for text in [
        "{ ((.a)) }",
        "{ .a && .b && .c && .d }",
        "{ .a } | { .b } | { .c } | { .d }",
    ] {
        let error = compile_with(text, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{text}");
    }
}
