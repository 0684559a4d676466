use super::*;
use crate::ast::Attribute;

fn lex(text: &str) -> Vec<TokenKind<'_>> {
    let mut lexer = Lexer::new(text, Dialect::Spandrel);
    let mut kinds = Vec::new();
    loop {
        match lexer.next_token().kind {
            TokenKind::End => return kinds,
            invalid @ TokenKind::Invalid(_) => {
                kinds.push(invalid);
                return kinds;
            }
            kind => kinds.push(kind),
        }
    }
}

fn lex_one(text: &str) -> Option<TokenKind<'_>> {
    let mut kinds = lex(text);
    let only = kinds
        .pop()
        .filter(|kind| !matches!(kind, TokenKind::Invalid(_)));
    if kinds.is_empty() { only } else { None }
}

fn key(scope: Scope, key: &str) -> TokenKind<'static> {
    TokenKind::Attribute(Attribute::Key {
        scope,
        of_parent: false,
        key: key.to_owned(),
    })
}

fn parent(scope: Scope, key: &str) -> TokenKind<'static> {
    TokenKind::Attribute(Attribute::Key {
        scope,
        of_parent: true,
        key: key.to_owned(),
    })
}

#[test]
fn integers() {
    assert_eq!(lex_one("0"), Some(TokenKind::Integer(0)));
    assert_eq!(lex_one("017"), Some(TokenKind::Integer(17)));
    assert_eq!(lex_one("00"), Some(TokenKind::Integer(0)));
    assert_eq!(
        lex_one("9223372036854775807"),
        Some(TokenKind::Integer(i64::MAX))
    );
    for text in [
        "08",
        "09",
        "9223372036854775808",
        "0x1F",
        "0b1",
        "0o7",
        "1_000",
        "0X",
        "1__0",
    ] {
        assert_eq!(lex_one(text), None, "{text}");
    }
}

#[test]
fn floats() {
    for (text, value) in [
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1e3),
        ("1E+3", 1e3),
        ("2.5e-3", 2.5e-3),
        ("08.5", 8.5),
        ("09e0", 9.0),
        ("1e-400", 0.0),
        ("0x1p3", 8.0),
        ("0X1P+3", 8.0),
        ("0x1.8p1", 3.0),
        ("0x.8p0", 0.5),
        ("0x0p99999999999999999999", 0.0),
        ("0x1p-1074", f64::from_bits(1)),
        ("0x1p-1075", 0.0),
        ("0x1.8p-1075", f64::from_bits(1)),
        ("0x3p-1075", f64::from_bits(2)),
        ("0x1p-1022", f64::MIN_POSITIVE),
        ("0x1.fffffffffffffp-1023", f64::MIN_POSITIVE),
        ("0x1.fffffffffffffp1023", f64::MAX),
        ("0x1.fffffffffffff7p1023", f64::MAX),
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000080000000001p0", 1.0 + f64::EPSILON),
        ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
        ("0x10000000000000000p-64", 1.0),
    ] {
        assert_eq!(lex_one(text), Some(TokenKind::Float(value)), "{text}");
    }
    for text in [
        "1e400",
        "1e",
        "1e+",
        "0x1.8",
        "0x1.fffffffffffff8p1023",
        "0x1p1024",
        "0xp1",
        "0x.p1",
        "1p3",
        "0x1p99999999999999999999",
    ] {
        assert_eq!(lex_one(text), None, "{text}");
    }
}

#[test]
fn durations_touch_their_number() {
    assert_eq!(
        lex_one("1d12h"),
        Some(TokenKind::Duration(129_600_000_000_000))
    );
    assert_eq!(lex_one(".5s"), Some(TokenKind::Duration(500_000_000)));
    assert_eq!(lex("1 s"), [TokenKind::Integer(1), TokenKind::Word("s")]);
    assert_eq!(lex("1S"), [TokenKind::Integer(1), TokenKind::Word("S")]);
    for text in ["1.5d", "1d1us", "1e3s", "0x1p3s", "08s", "1.2.3"] {
        assert_eq!(lex_one(text), None, "{text}");
    }
}

#[test]
fn strings() {
    let string = |text: &str| Some(TokenKind::String(text.to_owned()));
    assert_eq!(lex_one(r#""a\tb\"c\\""#), string("a\tb\"c\\"));
    assert_eq!(lex_one(r#""\a\b\f\n\r\v""#), string("\x07\x08\x0c\n\r\x0b"));
    assert_eq!(lex_one(r#""\101\x41\u0041\U00000041""#), string("AAAA"));
    assert_eq!(lex_one(r#""\xc3\xa9""#), string("é"));
    assert_eq!(lex_one(r#""\xff""#), string("\u{fffd}"));
    assert_eq!(lex_one("`a\\q\r\nb`"), string("a\\q\nb"));
    for text in [
        r#""\q""#,
        r#""\'""#,
        r#""\400""#,
        r#""\x4""#,
        r#""\ud800""#,
        r#""\U00110000""#,
        r#""open"#,
        "\"a\nb\"",
        "`open",
        r#""\"#,
        r#""\18""#,
    ] {
        assert_eq!(lex_one(text), None, "{text}");
    }
}

#[test]
fn attribute_names_end_at_few_characters() {
    assert_eq!(
        lex_one("span.a+b-c/d*e%f"),
        Some(key(Scope::Span, "a+b-c/d*e%f"))
    );
    assert_eq!(lex_one(".c/*x*/"), Some(key(Scope::Unscoped, "c/*x*/")));
    assert_eq!(lex_one("span.5xx"), Some(key(Scope::Span, "5xx")));
    assert_eq!(lex_one(".größe"), Some(key(Scope::Unscoped, "größe")));
    assert_eq!(
        lex_one("span.db\"-\"stmt"),
        Some(key(Scope::Span, "db-stmt"))
    );
    assert_eq!(lex_one(".\"a b\".c"), Some(key(Scope::Unscoped, "a b.c")));
    assert_eq!(lex_one(".\"\""), Some(key(Scope::Unscoped, "")));
    assert_eq!(lex_one(r#"link."\"\\""#), Some(key(Scope::Link, "\"\\")));
    assert_eq!(lex_one("event.\"a\nb\""), Some(key(Scope::Event, "a\nb")));
    assert_eq!(
        lex_one("instrumentation.`x'#"),
        Some(key(Scope::Instrumentation, "`x'#"))
    );
    assert_eq!(
        lex_one("span.resource.x"),
        Some(key(Scope::Span, "resource.x"))
    );
    for end in [
        "{", "}", "(", ")", "=", "~", "!", "<", ">", "^", ",", "|", "\u{a0}", "\u{2003}", "\u{b}",
    ] {
        let text = format!(".a{end}");
        assert_eq!(
            Some(lex(&text).swap_remove(0)),
            Some(key(Scope::Unscoped, "a")),
            "{end:?}"
        );
    }
    for text in [
        ". a",
        "span.",
        "span. a",
        ".=",
        ".\"open",
        ".\"\\t\"",
        ".5xx",
        "parent.span.",
    ] {
        assert_eq!(lex_one(text), None, "{text}");
    }
}

#[test]
fn only_parent_takes_a_second_scope() {
    assert_eq!(lex_one("parent.x"), Some(parent(Scope::Unscoped, "x")));
    assert_eq!(lex_one("parent.span.x"), Some(parent(Scope::Span, "x")));
    assert_eq!(
        lex_one("parent.resource.x"),
        Some(parent(Scope::Resource, "x"))
    );
    assert_eq!(lex_one("parent.event.x"), None);
    assert_eq!(
        Lexer::new("parent.event.x", Dialect::Tempo)
            .next_token()
            .kind,
        parent(Scope::Unscoped, "event.x")
    );
    assert_eq!(
        lex_one("parent.span"),
        Some(parent(Scope::Unscoped, "span"))
    );
    assert_eq!(
        lex_one("parent.\"span\".x"),
        Some(parent(Scope::Unscoped, "span.x"))
    );
}

#[test]
fn words_and_scopes() {
    assert_eq!(lex("parent"), [TokenKind::Word("parent")]);
    assert_eq!(
        lex("span: name"),
        [
            TokenKind::ColonScope(ColonScope::Span),
            TokenKind::Word("name")
        ]
    );
    assert_eq!(lex("_ü1"), [TokenKind::Word("_ü1")]);
    assert!(matches!(
        lex("span :name")[..],
        [TokenKind::Word("span"), TokenKind::Invalid(_)]
    ));
    assert!(matches!(
        lex("resource:x")[..],
        [TokenKind::Word("resource"), TokenKind::Invalid(_)]
    ));
}

#[test]
fn operators_are_greedy_and_have_no_gaps() {
    let symbols = |text: &'static str| {
        let mut lexer = Lexer::new(text, Dialect::Spandrel);
        let tokens = std::iter::from_fn(move || Some(lexer.next_token()));
        tokens
            .take_while(|token| token.kind != TokenKind::End)
            .map(|token| match token.kind {
                TokenKind::Symbol(_) => &text[token.range.start..token.range.end],
                _ => "?",
            })
    };
    assert!(
        symbols("!>>!>!!<<&>>&~&&>>=").eq(["!>>", "!>", "!", "!<<", "&>>", "&~", "&&", ">>", "="])
    );
    assert!(symbols("! = > > & >").eq(["!", "=", ">", ">", "?", ">"]));
    assert!(symbols("==||| =~!~~").eq(["=", "=", "||", "|", "=~", "!~", "~"]));
}

#[test]
fn trivia() {
    assert_eq!(
        lex("\u{feff}1 // x\n/* y\n */\t\r2"),
        [TokenKind::Integer(1), TokenKind::Integer(2)]
    );
    assert_eq!(lex_one("1 /* open"), None);
    assert_eq!(lex_one("1 \u{a0}"), None);
    assert_eq!(lex_one("1 \u{feff}"), None);
    assert_eq!(lex("// only"), []);
}
