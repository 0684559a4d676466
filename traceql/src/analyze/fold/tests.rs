use crate::{Dialect, compile, compile_with};

fn folded(condition: &str) -> String {
    folded_in(Dialect::default(), condition)
}

fn folded_in(dialect: Dialect, condition: &str) -> String {
    let query = compile_with(&format!("{{ {condition} }}"), &dialect.into()).unwrap();
    let text = query.to_string();
    text.trim_start_matches("{ ")
        .trim_end_matches(" }")
        .to_owned()
}

#[test]
fn constants_fold() {
    for (condition, expected) in [
        (".a = 2 ^ 3", ".a = 8"),
        (".a = 2 ^ -1", ".a = 0"),
        (".a = (-2) ^ 3", ".a = -8"),
        (".a = 0 ^ 0", ".a = 1"),
        (".a = 2.0 ^ 3", ".a = 8.0"),
        (".a = -3 ^ 2", ".a = -9"),
        (".a = 1s + 500ms", ".a = 1500000000.0"),
        (".a = 7 / 2", ".a = 3"),
        (".a = -7 / 2", ".a = -3"),
        (".a = (-7) % 2", ".a = -1"),
        (".a = minInt - 1", ".a = 9223372036854775807"),
        (".a = -minInt", ".a = minInt"),
        (".a = minInt / -1", ".a = minInt"),
        (".a = -1.5s", ".a = -1.5s"),
        ("10ms * 3 = 30ms", "true"),
        ("1 = 1.0", "true"),
        ("\"a\" < \"b\"", "true"),
        ("\"abc\" =~ \"b\"", "false"),
        ("\"abc\" !~ \"b\"", "true"),
        ("error != ok && server = server", "true"),
        ("!(1 = 1) || false", "false"),
        ("\"nil\" = nil", "true"),
        ("\"nil\" != nil", "false"),
        ("1 = nil", "false"),
        ("1 != nil", "true"),
        ("nil = nil", "false"),
        ("nil != nil", "false"),
        ("(nil != nil) = false", "true"),
        (".a - 1 < .b * 2 ^ 3 % 5", ".a - 1 < .b * 8 % 5"),
    ] {
        assert_eq!(folded(condition), expected, "{condition}");
    }
}

#[test]
fn what_has_no_value_or_no_text_stays() {
    for condition in [
        ".a = 1 / 0",
        ".a = 1 % 0",
        ".a = 1.0 / 0",
        ".a = 1.0 % 0",
        ".a = 1e308 * 10.0",
        ".a = 2 ^ 64",
        ".a = 0 ^ -1",
        ".a || true",
        ".a + 1 = nil",
    ] {
        assert_eq!(folded(condition), condition);
    }
}

#[test]
fn tempo_swaps_the_operands_of_an_integer_power() {
    for (condition, expected) in [
        (".a = 2 ^ 3", ".a = 9"),
        (".a = 2.0 ^ 3", ".a = 8.0"),
        (".a = -3 ^ 2", ".a = -8"),
        (".a = 64 ^ 2", ".a = 64 ^ 2"),
    ] {
        assert_eq!(
            folded_in(Dialect::Tempo, condition),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn scalars_fold() {
    for (query, expected) in [
        ("{ } | count() > 1 + 2 * 3", "{ } | count() > 7"),
        ("{ } | 2 ^ 3 < count()", "{ } | 8 < count()"),
        (
            "{ } | avg(duration) > 1s * 2",
            "{ } | avg(duration) > 2000000000.0",
        ),
        ("{ } | count() + (1 - 3) > 0", "{ } | count() + -2 > 0"),
        ("({ } | count()) > 2", "({ } | count()) > 2"),
        ("{ } | count() > 1 / 0", "{ } | count() > 1 / 0"),
        // There is no way to write the smallest integer.
        (
            "{ } | count() > -9223372036854775807 - 1",
            "{ } | count() > -9223372036854775807 - 1",
        ),
    ] {
        assert_eq!(compile(query).unwrap().to_string(), expected, "{query}");
    }
}

#[test]
fn numbers_beside_series_fold_as_floats() {
    for (query, expected) in [
        ("({ } | rate()) * (7 / 2)", "({ } | rate()) * 3.5"),
        ("-2 ^ 2 + ({ } | rate())", "-4.0 + ({ } | rate())"),
        ("({ } | rate()) / 1m * 1m", "({ } | rate()) / 1m0s * 1m0s"),
        ("({ } | rate()) / (1m * 2)", "({ } | rate()) / 120.0"),
        ("({ } | rate()) * 1 / 0", "({ } | rate()) * 1 / 0"),
        ("({ } | rate()) * (1 / 0)", "({ } | rate()) * (1 / 0)"),
        ("({ 1 = 1 } | rate()) > 1", "({ true } | rate()) > 1"),
    ] {
        assert_eq!(compile(query).unwrap().to_string(), expected, "{query}");
    }
}
