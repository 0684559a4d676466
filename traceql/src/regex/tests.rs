use super::*;

#[track_caller]
fn check(pattern: &str, matching: &[&str], other: &[&str]) {
    let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for text in matching {
        assert!(regex.is_match(text), "{pattern} should match {text:?}");
    }
    for text in other {
        assert!(!regex.is_match(text), "{pattern} should not match {text:?}");
    }
}

#[test]
fn the_whole_text_must_match() {
    check("a|bc", &["a", "bc"], &["ab", "abc", "bcd", "xa"]);
    check("", &[""], &["a"]);
    check("a.*b", &["ab", "a\n\nb"], &["ab\n"]);
    check("^a$", &["a"], &["a\n"]);
    check("(?i)get", &["GET", "get"], &[]);
    check("(?-s)a.b", &["axb"], &["a\nb"]);
    check("(?m)a$\n^b", &["a\nb"], &[]);
}

#[test]
fn classes_are_ascii() {
    check(r"\d+", &["12"], &["١"]);
    check(r"\w+", &["a_1"], &["é"]);
    check(r"\s", &[" ", "\t"], &["\u{b}", "\u{a0}"]);
    check(r"\W\D\S", &["é١\u{a0}"], &["a1 "]);
    check(r"a\b.*", &["a", "a-", "aé"], &["ab"]);
    check(r"[\d\s_]+", &["1 _"], &["a"]);
    check(r"\pL\p{Greek}\P{Greek}\p{^Greek}", &["aαaa"], &["aaaa"]);
    check("[[:alpha:]][[:^digit:]]", &["ax"], &["a1", "1x"]);
}

#[test]
fn brackets_in_classes_are_literal() {
    check("[[]", &["["], &["]"]);
    check("[]a]", &["]", "a"], &["[]a]"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a&&b]", &["a", "&", "b"], &[]);
}

#[test]
fn ranges_in_classes() {
    check("[a-c-e]", &["a", "b", "c", "-", "e"], &["d"]);
    check("[+--]", &["+", ",", "-"], &["."]);
    check(r"[\]\-\\]", &["]", "-", "\\"], &["a"]);
    check("[a~~b]", &["~"], &["a~"]);
    check("[-a]", &["-", "a"], &[]);
    check("[a-]", &["-", "a"], &[]);
}

#[test]
fn braces_without_counts_are_literal() {
    check("a{2}", &["aa"], &["a{2}"]);
    check("a{1,2}?b{0,}", &["a", "aab"], &["aaa"]);
    for literal in ["a{", "a{,5}", "a{x}", "{a}", "a{01}", "a{1", "{}", "a{-1}"] {
        check(literal, &[literal], &["a", "aaaaa"]);
    }
}

#[test]
fn escapes() {
    check(r"\Qa.b*\E+", &["a.b*", "a.b**"], &["axb"]);
    check(r"\Qa\", &["a\\"], &[]);
    check(r"\x41\x{42}\103\0", &["ABC\0"], &[]);
    check(r"\a\f\n\r\t\v", &["\x07\x0c\n\r\t\x0b"], &[]);
    check(r"\<\>\_\/\ ", &["<>_/ "], &[]);
    check(r"a\.b", &["a.b"], &["axb"]);
    check(r"\Aa\z", &["a"], &["aa"]);
}

#[test]
fn groups_and_flags() {
    check("(?P<a>x)(?<b>y)(?:z)", &["xyz"], &[]);
    check("(?P<1>x)", &["x"], &[]);
    check("(?i:a)b", &["Ab"], &["AB"]);
    check("(?)a", &["a"], &[]);
    check("(?U)a+", &["aa"], &[]);
}

#[test]
fn mistakes() {
    for pattern in [
        "(",
        ")",
        "a)(b",
        "[",
        "[a",
        "[]",
        "[z-a]",
        r"[a-\d]",
        "*",
        "+a",
        "a**",
        "a*??",
        "a{2}{3}",
        "a++",
        "(*)",
        "a|*",
        "{2}",
        "a{1001}",
        "a{2,1}",
        r"\1",
        r"\8",
        r"\Z",
        r"\C",
        r"\q",
        r"\u0041",
        "\\",
        r"\xz",
        r"\x{110000}",
        r"\x4",
        r"\p{Nope}",
        r"\p",
        r"\p{",
        "(?=a)",
        "(?<=a)",
        "(?!a)",
        "(?x)a",
        "(?u)a",
        "(?-)a",
        "(?i-)a",
        "(?P<a>x)(?P<a>y)",
        "(?P<>x)",
        "(?P<a",
        "(?P=a)",
        "[[:nope:]]",
        "(?",
        "(?i",
        r"[\b]",
        r"\é",
    ] {
        let Err(error) = compile(pattern) else {
            panic!("{pattern} should be refused")
        };
        assert!(
            matches!(error, RegexError::Syntax { .. }),
            "{pattern}: {error}"
        );
        assert!(!error.to_string().contains('\n'), "{pattern}: {error}");
    }
}

#[test]
fn limits() {
    let long = "a".repeat(1025);
    assert!(matches!(
        compile(&long),
        Err(RegexError::TooLong {
            observed: 1025,
            allowed: 1024
        })
    ));
    let large = r"((\pL{100}){100}){100}";
    assert!(matches!(compile(large), Err(RegexError::TooLarge { .. })));
    let deep = "(".repeat(500) + &")".repeat(500);
    assert!(compile(&deep).is_err());
}
