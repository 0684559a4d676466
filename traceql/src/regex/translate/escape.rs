//! What a backslash begins.

use super::Translator;

impl Translator<'_> {
    /// After a backslash outside of a class.
    pub(super) fn escape(&mut self) -> Result<(), String> {
        if let Some(after) = self.rest.strip_prefix('Q') {
            let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
            literal.chars().for_each(|c| self.push_literal(c));
            self.rest = after;
            return Ok(());
        }
        match self.rest.chars().next() {
            Some(anchor @ ('A' | 'z' | 'B')) => {
                self.bump();
                self.out.extend(['\\', anchor]);
                Ok(())
            }
            Some('b') => {
                self.bump();
                self.out.push_str(r"(?-u:\b)");
                Ok(())
            }
            _ if self.named_class()? => Ok(()),
            _ => {
                let character = self.escaped_character()?;
                self.push_number(character);
                Ok(())
            }
        }
    }

    /// After a backslash: an escape that stands for one character.
    pub(super) fn escaped_character(&mut self) -> Result<char, String> {
        let Some(first) = self.bump() else {
            return Err("trailing backslash".to_owned());
        };
        match first {
            'a' => Ok('\x07'),
            'f' => Ok('\x0c'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\x0b'),
            'x' => self.hex_escape(),
            '0'..='7' => self.octal_escape(first),
            _ if first.is_ascii() && !first.is_ascii_alphanumeric() => Ok(first),
            _ => Err(format!("unknown escape \\{first}")),
        }
    }

    /// `\xhh` or `\x{h…}`.
    fn hex_escape(&mut self) -> Result<char, String> {
        let digits = if self.eat('{') {
            let (digits, after) = self.rest.split_once('}').ok_or("escape without }")?;
            self.rest = after;
            digits
        } else {
            let digits = self.rest.get(..2).ok_or("escape \\x without two digits")?;
            self.rest = &self.rest[2..];
            digits
        };
        let is_hex = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex
            .then(|| {
                u32::from_str_radix(digits, 16)
                    .ok()
                    .and_then(char::from_u32)
            })
            .flatten()
            .ok_or_else(|| "invalid escape \\x".to_owned())
    }

    /// `\0`, `\0oo` or `\ooo`; one digit other than zero would be a back-reference.
    fn octal_escape(&mut self, first: char) -> Result<char, String> {
        let octal = |text: &str| text.chars().next().and_then(|c| c.to_digit(8));
        if first != '0' && octal(self.rest).is_none() {
            return Err("back-references are not possible".to_owned());
        }
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = octal(self.rest) else { break };
            value = value * 8 + digit;
            self.bump();
        }
        char::from_u32(value).ok_or_else(|| "invalid octal escape".to_owned())
    }
}
