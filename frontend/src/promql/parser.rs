//! Tokens to programs.
//!
//! Parsing recurses, to a bounded depth; neither evaluating nor dropping what it makes does.

use super::error::ParseError;
use super::lexer::{Located, Token};
use super::program::{Arithmetic, Comparison, Kind, Op};

/// Deepest nesting of parentheses, signs and powers.
const MAX_DEPTH: usize = 64;
/// Longest program; a range query runs it once per step.
const MAX_OPS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
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

/// How tightly a sign binds.
const UNARY: u8 = 4;

/// The program of a whole text, and the kind of its value.
pub(super) fn parse(text: &str, tokens: &[Located]) -> Result<(Vec<Op>, Kind), ParseError> {
    let mut parser = Parser {
        text,
        tokens,
        position: 0,
        ops: Vec::new(),
    };
    let kind = parser.expression(0, 0)?;
    if parser.position < tokens.len() {
        return Err(parser.unexpected("operator or end of input"));
    }
    Ok((parser.ops, kind))
}

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
