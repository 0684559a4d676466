//! Reads a corpus line from left to right.

use storage::model::{AnyValue, Attribute};

use super::text::id_bytes;
use crate::reference::series::LabelValue;
use crate::reference::value::Value;

/// Reads one line from left to right.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes `text` if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.take(text) {
            Ok(())
        } else {
            Err(format!("expected `{text}` at `{}`", self.rest))
        }
    }

    /// Everything before the first character of `ends`, or to the end; quoted parts count as one.
    pub(super) fn until(&mut self, ends: &[char]) -> &'a str {
        let mut quoted = false;
        let mut escaped = false;
        let end = self.rest.find(|c: char| {
            let ended = !quoted && ends.contains(&c);
            quoted ^= c == '"' && !escaped;
            escaped = quoted && c == '\\' && !escaped;
            ended
        });
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        text
    }

    /// The next word, unquoted if it is quoted as a whole.
    pub(super) fn word(&mut self, ends: &[char]) -> Result<String, String> {
        if self.peek() == Some('"') {
            self.quoted()
        } else {
            Ok(self.until(ends).to_owned())
        }
    }

    /// A string in quotes; `\n`, `\"` and `\\` are escapes.
    pub(super) fn quoted(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[index + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => return Err(format!("unknown escape in `{}`", self.rest)),
                },
                other => text.push(other),
            }
        }
        Err(format!("unterminated string `{}`", self.rest))
    }

    /// The value of an attribute.
    pub(super) fn value(&mut self) -> Result<AnyValue, String> {
        match self.peek() {
            Some('"') => self.quoted().map(AnyValue::String),
            Some('[') => self.list("[", "]", Self::value).map(AnyValue::Array),
            Some('{') => self
                .list("{", "}", Self::attribute)
                .map(AnyValue::KeyValueList),
            _ => scalar(self.until(&[' ', ',', ']', '}'])),
        }
    }

    /// `key=value`.
    pub(super) fn attribute(&mut self) -> Result<Attribute, String> {
        let key = self.word(&['=', ' '])?;
        self.expect("=")?;
        Ok(Attribute {
            key: key.into(),
            value: self.value()?,
        })
    }

    /// `{name="x", p=0.5}`; names may have quoted parts.
    pub(super) fn labels(&mut self) -> Result<Vec<(String, LabelValue)>, String> {
        self.list("{", "}", |cursor| {
            let (name, value) = cursor.named_value()?;
            let value = match value {
                AnyValue::String(text) => LabelValue::String(text),
                AnyValue::Int(number) => LabelValue::Int(number),
                AnyValue::Double(number) => LabelValue::Float(number),
                AnyValue::Bool(flag) => LabelValue::Bool(flag),
                other => return Err(format!("not a label value: {other:?}")),
            };
            Ok((name, value))
        })
    }

    /// `{by(span.x = 1)=true, count()=2}`.
    pub(super) fn found_attributes(&mut self) -> Result<Vec<(String, Value)>, String> {
        self.list("{", "}", |cursor| {
            let (name, value) = cursor.named_value()?;
            Ok((name, Value::of_any(&value)))
        })
    }

    /// A name, `=` and a value; what is in parentheses or in quotes belongs to the name.
    fn named_value(&mut self) -> Result<(String, AnyValue), String> {
        let mut name = self.until(&['(', '=', '}']).to_owned();
        while self.take("(") {
            let mut depth = 1;
            name.push('(');
            while depth > 0 {
                name.push_str(self.until(&['(', ')']));
                let paren = self.peek().ok_or("an open parenthesis in a name")?;
                depth = if paren == '(' { depth + 1 } else { depth - 1 };
                name.push(paren);
                self.expect(&paren.to_string())?;
            }
            name.push_str(self.until(&['(', '=', '}']));
        }
        self.expect("=")?;
        Ok((name, self.value()?))
    }

    fn list<T>(
        &mut self,
        open: &str,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.expect(open)?;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            if self.take(close) {
                return Ok(items);
            }
            if !items.is_empty() {
                self.expect(",")?;
                self.skip_space();
            }
            items.push(item(self)?);
        }
    }
}

fn scalar(text: &str) -> Result<AnyValue, String> {
    match text {
        "nil" => return Ok(AnyValue::Empty),
        "true" => return Ok(AnyValue::Bool(true)),
        "false" => return Ok(AnyValue::Bool(false)),
        _ => {}
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return id_bytes(hex).map(AnyValue::Bytes);
    }
    if let Ok(number) = text.parse() {
        return Ok(AnyValue::Int(number));
    }
    text.parse()
        .map(AnyValue::Double)
        .map_err(|_| format!("not a value: `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value = |text: &str| Cursor::new(text).value().expect(text);
        assert_eq!(value("5"), AnyValue::Int(5));
        assert_eq!(value("5.0"), AnyValue::Double(5.0));
        assert_eq!(value("1e3"), AnyValue::Double(1000.0));
        assert_eq!(value(r#""a \"b\"""#), AnyValue::String("a \"b\"".into()));
        assert_eq!(
            value("[1, 2]"),
            AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Int(2)])
        );
        assert_eq!(value("0x00ff"), AnyValue::Bytes(vec![0, 255]));
        assert!(matches!(value("{a=1}"), AnyValue::KeyValueList(list) if list.len() == 1));
        assert!(Cursor::new("what").value().is_err());
    }
}
