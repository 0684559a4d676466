//! PromQL text to tokens.

use super::error::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    /// An operator or a bracket, as written.
    Symbol(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located {
    pub(super) token: Token,
    pub(super) offset: usize,
}

/// Longer symbols first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 21] = [
    "==", "!=", "<=", ">=", "=~", "!~", "<", ">", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", ",", "@",
];

pub(super) fn lex(text: &str) -> Result<Vec<Located>, ParseError> {
    let mut tokens = Vec::new();
    let mut offset = 0;
    while let Some(rest) = text.get(offset..)
        && let Some(first) = rest.chars().next()
    {
        let (token, length) = if first.is_whitespace() {
            offset += first.len_utf8();
            continue;
        } else if first == '#' {
            offset += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if first.is_ascii_digit() || (first == '.' && second_is_digit(rest)) {
            number(rest).ok_or_else(|| ParseError::new(text, offset, "bad number"))?
        } else if first.is_ascii_alphabetic() || first == '_' || first == ':' {
            let length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
            name(&rest[..length])
        } else if matches!(first, '"' | '\'' | '`') {
            quoted(rest, first).ok_or_else(|| ParseError::new(text, offset, "bad string"))?
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            let reason = format!("unexpected character: {first:?}");
            return Err(ParseError::new(text, offset, reason));
        };
        tokens.push(Located { token, offset });
        offset += length;
    }
    Ok(tokens)
}

const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn second_is_digit(text: &str) -> bool {
    text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

/// A name, or one of the numbers that are written as names.
fn name(text: &str) -> (Token, usize) {
    let token = if text.eq_ignore_ascii_case("inf") {
        Token::Number(f64::INFINITY)
    } else if text.eq_ignore_ascii_case("nan") {
        Token::Number(f64::NAN)
    } else {
        Token::Name(text.to_owned())
    };
    (token, text.len())
}

fn number(text: &str) -> Option<(Token, usize)> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let length = hex.find(|c| !is_name_char(c)).unwrap_or(hex.len());
        let value = i64::from_str_radix(&hex[..length], 16).ok()?;
        return Some((Token::Number(float(value)), length + 2));
    }
    let mut length = 0;
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(length) {
        let after_exponent = length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        let of_number = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
        let of_exponent = after_exponent && matches!(byte, b'+' | b'-');
        if !(of_number || of_exponent) {
            break;
        }
        length += 1;
    }
    // Words that Rust would read as numbers never start with a digit or a dot.
    Some((Token::Number(text[..length].parse().ok()?), length))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "PromQL has no numbers but floats"
)]
const fn float(value: i64) -> f64 {
    value as f64
}

fn quoted(text: &str, quote: char) -> Option<(Token, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((Token::Text(value), index + 1)),
            '\\' if quote != '`' => value.push(escape(&mut chars)?),
            '\n' if quote != '`' => return None,
            _ => value.push(c),
        }
    }
    None
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let (_, c) = chars.next()?;
    let digits = match c {
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        'v' => return Some('\u{b}'),
        '\\' | '"' | '\'' => return Some(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let mut code = 0_u32;
    for _ in 0..digits {
        code = code
            .checked_mul(16)?
            .checked_add(chars.next()?.1.to_digit(16)?)?;
    }
    char::from_u32(code)
}
