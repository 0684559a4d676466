//! Expressions of numbers, `time()` and `vector()`.
//!
//! Parsing makes a program for a stack machine, so that neither evaluating nor dropping a long
//! expression recurses.

use super::error::ParseError;
use super::lexer::{Located, Token, lex};
use super::parser::parse;
use super::program::{Kind, Op, run};

/// An expression whose value depends on nothing but the time.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant(Body);

#[derive(Debug, Clone, PartialEq)]
enum Body {
    Text(String),
    Program { ops: Vec<Op>, kind: Kind },
}

/// The value of a constant expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// One sample without labels, or none where a comparison removed it.
    Vector(Option<f64>),
    /// A text.
    Text(String),
}

impl Constant {
    /// Parses a constant expression.
    ///
    /// # Errors
    /// If the text is anything else, also if it is other PromQL.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let tokens = lex(text)?;
        if let [
            Located {
                token: Token::Text(value),
                ..
            },
        ] = tokens.as_slice()
        {
            return Ok(Self(Body::Text(value.clone())));
        }
        let (ops, kind) = parse(text, &tokens)?;
        Ok(Self(Body::Program { ops, kind }))
    }

    /// The value at a time in seconds since the epoch.
    #[must_use]
    pub fn at(&self, time_s: f64) -> Value {
        match &self.0 {
            Body::Text(text) => Value::Text(text.clone()),
            Body::Program {
                ops,
                kind: Kind::Vector,
            } => Value::Vector(run(ops, time_s)),
            // A scalar is never dropped: only comparisons with a vector drop values.
            Body::Program {
                ops,
                kind: Kind::Scalar,
            } => Value::Scalar(run(ops, time_s).unwrap_or(f64::NAN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> f64 {
        match Constant::parse(text).unwrap().at(100.0) {
            Value::Scalar(value) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn vector(text: &str) -> Option<f64> {
        match Constant::parse(text).unwrap().at(100.0) {
            Value::Vector(value) => value,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the values are exact")]
    fn scalars() {
        for (text, value) in [
            ("1+1", 2.0),
            ("0x1F", 31.0),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-2", 0.01),
            ("-1^2", -1.0),
            ("2^3^2", 512.0),
            ("2^-1", 0.5),
            ("1-2-3", -4.0),
            ("2+3*4%5", 4.0),
            ("(2+3)*4", 20.0),
            ("-Inf", f64::NEG_INFINITY),
            ("+inf", f64::INFINITY),
            ("1/0", f64::INFINITY),
            ("time()", 100.0),
            ("time() - 1", 99.0),
            ("1 == bool 1", 1.0),
            ("1 > bool 2", 0.0),
            ("--1", 1.0),
            ("1 # one", 1.0),
            ("-5 % 3", -2.0),
        ] {
            assert_eq!(scalar(text), value, "{text}");
        }
        assert!(scalar("NaN").is_nan());
        assert!(scalar("0/0").is_nan());
    }

    #[test]
    fn vectors() {
        assert_eq!(vector("vector(1)+vector(1)"), Some(2.0));
        assert_eq!(vector("-vector(time())"), Some(-100.0));
        assert_eq!(vector("vector(3) > 2"), Some(3.0));
        assert_eq!(vector("2 < vector(3)"), Some(3.0));
        assert_eq!(vector("vector(3) < 2"), None);
        assert_eq!(vector("(vector(3) < 2) + 1"), None);
        assert_eq!(vector("vector(3) < bool 2"), Some(0.0));
        assert_eq!(vector("vector(3) == vector(3)"), Some(3.0));
    }

    #[test]
    fn texts() {
        let text = |text: &str| Constant::parse(text).map(|constant| constant.at(0.0));
        assert_eq!(text(r#""a\"bA\n""#), Ok(Value::Text("a\"bA\n".to_owned())));
        assert_eq!(text("'a'"), Ok(Value::Text("a".to_owned())));
        assert_eq!(text(r"`a\n`"), Ok(Value::Text(r"a\n".to_owned())));
        assert!(text(r#""\q""#).is_err());
        assert!(text("\"open").is_err());
    }

    #[test]
    fn errors_say_where() {
        for (text, message) in [
            ("", "1:1: parse error: no expression found in input"),
            (
                "1 +",
                "1:4: parse error: unexpected end of input, expected a number, time(), vector() or a parenthesis",
            ),
            (
                "1 1",
                "1:3: parse error: unexpected number, expected operator or end of input",
            ),
            (
                "1 == 1",
                "1:3: parse error: comparisons between scalars must use BOOL modifier",
            ),
            (
                "1 +\n up",
                "2:2: parse error: unexpected identifier \"up\", expected a number, time(), vector() or a parenthesis",
            ),
            (
                "(1",
                "1:3: parse error: unexpected end of input, expected \")\"",
            ),
            (
                "vector(vector(1))",
                "1:8: parse error: expected type scalar in call to function \"vector\"",
            ),
            (
                "1 + bool 1",
                "1:5: parse error: bool modifier can only be used on comparison operators",
            ),
            ("1x", "1:1: parse error: bad number"),
            ("é", "1:1: parse error: unexpected character: 'é'"),
            ("{} | rate()", "1:4: parse error: unexpected character: '|'"),
        ] {
            assert_eq!(
                Constant::parse(text).unwrap_err().to_string(),
                message,
                "{text}"
            );
        }
    }

    #[test]
    fn size_is_bounded() {
        assert!(Constant::parse(&"(".repeat(100_000)).is_err());
        assert!(Constant::parse(&"-".repeat(100_000)).is_err());
        assert!(Constant::parse(&format!("1{}", "^1".repeat(100_000))).is_err());
        assert!(Constant::parse(&format!("1{}", "+1".repeat(100_000))).is_err());
        assert!(Constant::parse(&format!("1{}", "+1".repeat(400))).is_ok());
    }
}
