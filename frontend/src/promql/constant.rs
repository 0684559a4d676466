//! Expressions of numbers, `time()` and `vector()`.
//!
//! Parsing makes a program for a stack machine, so that neither evaluating nor dropping a long
//! expression recurses; only parsing does, to a bounded depth.

use super::ParseError;
use super::lexer::{Located, Token, lex};

/// Deepest nesting of parentheses, signs and powers.
const MAX_DEPTH: usize = 64;
/// Longest program; a range query runs it once per step.
const MAX_OPS: usize = 1000;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Vector,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Push(f64),
    Time,
    Negate,
    Arithmetic(Arithmetic),
    /// Gives 1 or 0.
    CompareBool(Comparison),
    /// Keeps the left value or drops it.
    KeepLeft(Comparison),
    /// Keeps the right value or drops it.
    KeepRight(Comparison),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
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
        let mut parser = Parser {
            text,
            tokens: &tokens,
            position: 0,
            ops: Vec::new(),
        };
        let kind = parser.expression(0, 0)?;
        if parser.position < tokens.len() {
            return Err(parser.unexpected("operator or end of input"));
        }
        Ok(Self(Body::Program {
            ops: parser.ops,
            kind,
        }))
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

/// The parser leaves exactly one value on the stack, and every operator finds its operands there.
fn run(ops: &[Op], time_s: f64) -> Option<f64> {
    let mut stack: Vec<Option<f64>> = Vec::new();
    for op in ops {
        let value = match op {
            Op::Push(value) => Some(*value),
            Op::Time => Some(time_s),
            Op::Negate => stack.pop().flatten().map(|value| -value),
            Op::Arithmetic(op) => pop_two(&mut stack).map(|(a, b)| op.apply(a, b)),
            Op::CompareBool(op) => pop_two(&mut stack).map(|(a, b)| f64::from(op.holds(a, b))),
            Op::KeepLeft(op) => pop_two(&mut stack)
                .filter(|(a, b)| op.holds(*a, *b))
                .map(|(a, _)| a),
            Op::KeepRight(op) => pop_two(&mut stack)
                .filter(|(a, b)| op.holds(*a, *b))
                .map(|(_, b)| b),
        };
        stack.push(value);
    }
    stack.pop().flatten()
}

fn pop_two(stack: &mut Vec<Option<f64>>) -> Option<(f64, f64)> {
    // Both must leave the stack, whether or not they have a value.
    let (right, left) = (stack.pop().flatten(), stack.pop().flatten());
    left.zip(right)
}

impl Arithmetic {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
            Self::Mod => a % b,
            Self::Pow => a.powf(b),
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "the language compares exactly")]
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Eq => a == b,
            Self::NotEq => a != b,
            Self::Lt => a < b,
            Self::LtEq => a <= b,
            Self::Gt => a > b,
            Self::GtEq => a >= b,
        }
    }
}

impl Operator {
    fn of(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "+" => Self::Arithmetic(Arithmetic::Add),
            "-" => Self::Arithmetic(Arithmetic::Sub),
            "*" => Self::Arithmetic(Arithmetic::Mul),
            "/" => Self::Arithmetic(Arithmetic::Div),
            "%" => Self::Arithmetic(Arithmetic::Mod),
            "^" => Self::Arithmetic(Arithmetic::Pow),
            "==" => Self::Comparison(Comparison::Eq),
            "!=" => Self::Comparison(Comparison::NotEq),
            "<" => Self::Comparison(Comparison::Lt),
            "<=" => Self::Comparison(Comparison::LtEq),
            ">" => Self::Comparison(Comparison::Gt),
            ">=" => Self::Comparison(Comparison::GtEq),
            _ => return None,
        })
    }

    /// Higher binds tighter; [`UNARY`] lies between `*` and `^`.
    const fn precedence(self) -> u8 {
        match self {
            Self::Comparison(_) => 1,
            Self::Arithmetic(Arithmetic::Add | Arithmetic::Sub) => 2,
            Self::Arithmetic(Arithmetic::Mul | Arithmetic::Div | Arithmetic::Mod) => 3,
            Self::Arithmetic(Arithmetic::Pow) => 5,
        }
    }
}

const UNARY: u8 = 4;

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Located],
    position: usize,
    ops: Vec<Op>,
}

impl Parser<'_> {
    /// Parses operators of at least this precedence.
    fn expression(&mut self, min_precedence: u8, depth: usize) -> Result<Kind, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("expression is nested deeper than {MAX_DEPTH}")));
        }
        let mut kind = self.operand(depth)?;
        while let Some(operator) = self.operator() {
            let precedence = operator.precedence();
            if precedence < min_precedence {
                break;
            }
            let place = self.position;
            self.position += 1;
            let returns_bool = self.take_name("bool");
            if returns_bool && !matches!(operator, Operator::Comparison(_)) {
                self.position = place + 1;
                return Err(self.error("bool modifier can only be used on comparison operators"));
            }
            // A power groups to the right, everything else to the left.
            let right_associative = operator == Operator::Arithmetic(Arithmetic::Pow);
            let right = self.expression(precedence + u8::from(!right_associative), depth + 1)?;
            let op = match operator {
                Operator::Arithmetic(op) => Op::Arithmetic(op),
                Operator::Comparison(op) if returns_bool => Op::CompareBool(op),
                Operator::Comparison(op) => match (kind, right) {
                    (Kind::Vector, _) => Op::KeepLeft(op),
                    (Kind::Scalar, Kind::Vector) => Op::KeepRight(op),
                    (Kind::Scalar, Kind::Scalar) => {
                        self.position = place;
                        return Err(
                            self.error("comparisons between scalars must use BOOL modifier")
                        );
                    }
                },
            };
            self.push(op)?;
            if right == Kind::Vector {
                kind = Kind::Vector;
            }
        }
        Ok(kind)
    }

    fn operand(&mut self, depth: usize) -> Result<Kind, ParseError> {
        let token = self
            .tokens
            .get(self.position)
            .map(|located| located.token.clone());
        match token {
            Some(Token::Number(value)) => {
                self.position += 1;
                self.push(Op::Push(value))?;
                Ok(Kind::Scalar)
            }
            Some(Token::Symbol("(")) => {
                self.position += 1;
                let kind = self.expression(0, depth + 1)?;
                self.expect(")")?;
                Ok(kind)
            }
            Some(Token::Symbol(sign @ ("+" | "-"))) => {
                self.position += 1;
                let kind = self.expression(UNARY, depth + 1)?;
                if sign == "-" {
                    self.push(Op::Negate)?;
                }
                Ok(kind)
            }
            Some(Token::Name(name)) if name == "time" && self.is_call() => {
                self.position += 2;
                self.expect(")")?;
                self.push(Op::Time)?;
                Ok(Kind::Scalar)
            }
            Some(Token::Name(name)) if name == "vector" && self.is_call() => {
                self.position += 2;
                let place = self.position;
                if self.expression(0, depth + 1)? != Kind::Scalar {
                    self.position = place;
                    return Err(self.error("expected type scalar in call to function \"vector\""));
                }
                self.expect(")")?;
                Ok(Kind::Vector)
            }
            _ => Err(self.unexpected("a number, time(), vector() or a parenthesis")),
        }
    }

    fn operator(&self) -> Option<Operator> {
        match self.tokens.get(self.position)?.token {
            Token::Symbol(symbol) => Operator::of(symbol),
            _ => None,
        }
    }

    fn is_call(&self) -> bool {
        self.tokens
            .get(self.position + 1)
            .is_some_and(|next| next.token == Token::Symbol("("))
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = matches!(
            self.tokens.get(self.position),
            Some(Located { token: Token::Name(found), .. }) if found == name
        );
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), ParseError> {
        match self.tokens.get(self.position) {
            Some(located) if located.token == Token::Symbol(symbol) => {
                self.position += 1;
                Ok(())
            }
            _ => Err(self.unexpected(&format!("{symbol:?}"))),
        }
    }

    fn push(&mut self, op: Op) -> Result<(), ParseError> {
        if self.ops.len() >= MAX_OPS {
            return Err(self.error(format!("expression has more than {MAX_OPS} operations")));
        }
        self.ops.push(op);
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        let found = match self.tokens.get(self.position).map(|located| &located.token) {
            None if self.tokens.is_empty() => return self.error("no expression found in input"),
            None => "end of input".to_owned(),
            Some(Token::Number(_)) => "number".to_owned(),
            Some(Token::Text(_)) => "string".to_owned(),
            Some(Token::Name(name)) => format!("identifier {name:?}"),
            Some(Token::Symbol(symbol)) => format!("{symbol:?}"),
        };
        self.error(format!("unexpected {found}, expected {expected}"))
    }

    fn error(&self, reason: impl Into<String>) -> ParseError {
        let offset = self
            .tokens
            .get(self.position)
            .map_or(self.text.len(), |token| token.offset);
        ParseError::new(self.text, offset, reason)
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
