//! Numbers and durations.

use super::{Lexer, TokenKind};
use crate::cause::SyntaxError;
use crate::duration;
use crate::error::Error;
use crate::text_range::TextRange;

/// Characters that, directly behind a number, make it a duration.
const fn continues_duration(character: char) -> bool {
    matches!(
        character,
        '0'..='9' | '.' | 'n' | 's' | 'u' | 'm' | 'h' | 'µ' | 'd' | 'w' | 'y'
    )
}

impl<'a> Lexer<'a> {
    /// A number without sign: signs are operators.
    pub(super) fn number(&mut self) -> Result<TokenKind<'a>, Error> {
        let start = self.offset;
        match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => return self.hex_float(start),
            [b'0', b'b' | b'B' | b'o' | b'O', ..] => {
                self.take_while(|c| c == '_' || c.is_ascii_alphanumeric());
                return Err(self.invalid_number(start, "only decimal digits can be used"));
            }
            _ => {}
        }

        let digits = self.take_while(|c| c.is_ascii_digit());
        let mut is_float = false;
        if self.peek() == Some('.') {
            is_float = true;
            self.bump();
            self.take_while(|c| c.is_ascii_digit());
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            is_float = true;
            self.bump();
            self.exponent(start)?;
        }
        if self.peek() == Some('_') {
            self.take_while(|c| c == '_' || c.is_ascii_digit());
            return Err(self.invalid_number(start, "digits cannot be grouped with _"));
        }
        // Numbers with a leading zero would be octal where this notation comes from; they are
        // decimal here, but the digits are still checked.
        if !is_float && digits.starts_with('0') && digits.contains(['8', '9']) {
            return Err(
                self.invalid_number(start, "a leading zero does not go with the digits 8 and 9")
            );
        }

        let number = &self.text[start..self.offset];
        if !self.take_while(continues_duration).is_empty() {
            return self.duration(start);
        }
        if is_float {
            return self.finite_float(start, number.parse().ok());
        }
        let value = number
            .parse()
            .map_err(|_too_large| self.invalid_number(start, "largest is maxInt"))?;
        Ok(TokenKind::Integer(value))
    }

    fn exponent(&mut self, start: usize) -> Result<&'a str, Error> {
        let from = self.offset;
        if matches!(self.peek(), Some('+' | '-')) {
            self.bump();
        }
        if self.take_while(|c| c.is_ascii_digit()).is_empty() {
            return Err(self.invalid_number(start, "exponent has no digits"));
        }
        Ok(&self.text[from..self.offset])
    }

    fn duration(&self, start: usize) -> Result<TokenKind<'a>, Error> {
        let text = &self.text[start..self.offset];
        duration::parse(text)
            .map(TokenKind::Duration)
            .ok_or_else(|| {
                let error = SyntaxError::InvalidDuration {
                    text: text.to_owned(),
                };
                Error::new(error, TextRange::new(start, self.offset)).with_hint(
                    "write whole numbers from years to milliseconds such as `1d12h`, \
                 or decimal ones with h, m, s, ms, us, ns such as `1.5s`",
                )
            })
    }

    /// `0x1.8p3`: the exponent, a power of two, is not optional.
    fn hex_float(&mut self, start: usize) -> Result<TokenKind<'a>, Error> {
        self.offset += "0x".len();
        let whole = self.take_while(|c| c.is_ascii_hexdigit());
        let mut fraction = "";
        if self.peek() == Some('.') {
            self.bump();
            fraction = self.take_while(|c| c.is_ascii_hexdigit());
        }
        let has_exponent = matches!(self.peek(), Some('p' | 'P'));
        if !has_exponent || (whole.is_empty() && fraction.is_empty()) {
            self.take_while(|c| c == '_' || c == '.' || c.is_ascii_alphanumeric());
            return Err(self.invalid_number(start, "only decimal digits can be used"));
        }
        self.bump();
        let exponent = self.exponent(start)?;
        if !self.take_while(continues_duration).is_empty() {
            return self.duration(start);
        }
        self.finite_float(start, Some(hex_float_value(whole, fraction, exponent)))
    }

    fn finite_float(&self, start: usize, value: Option<f64>) -> Result<TokenKind<'a>, Error> {
        value
            .filter(|value| value.is_finite())
            .map(TokenKind::Float)
            .ok_or_else(|| self.invalid_number(start, "out of range"))
    }

    fn invalid_number(&self, start: usize, reason: &'static str) -> Error {
        let text = self.text[start..self.offset].to_owned();
        let range = TextRange::new(start, self.offset);
        Error::new(SyntaxError::InvalidNumber { text, reason }, range)
    }
}

/// `0x{whole}.{fraction}p{exponent}`, rounded once to the nearest float, ties to even.
fn hex_float_value(whole: &str, fraction: &str, exponent: &str) -> f64 {
    let mut mantissa: u64 = 0;
    // Exponent of two of the mantissa's last bit.
    let mut scale: i64 = 0;
    // Whether digits beyond the mantissa's 64 bits are not all zero.
    let mut sticky = false;
    let places = whole
        .chars()
        .map(|c| (c, 0))
        .chain(fraction.chars().map(|c| (c, -4)));
    for (digit, shift) in places {
        let digit = digit.to_digit(16).unwrap_or(0);
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            scale += shift;
        } else {
            sticky |= digit != 0;
            scale += shift + 4;
        }
    }
    if mantissa == 0 {
        return 0.0;
    }
    // Far beyond this every mantissa is infinite or zero, however many digits of 128 KiB of text
    // are counted in `scale`.
    const FAR: i64 = 1 << 40;
    let out_of_range = if exponent.starts_with('-') { -FAR } else { FAR };
    scale += exponent
        .parse::<i64>()
        .unwrap_or(out_of_range)
        .clamp(-FAR, FAR);

    let zeros = mantissa.leading_zeros();
    mantissa <<= zeros;
    scale -= i64::from(zeros);
    // The value is now mantissa · 2^scale with the top bit of the mantissa set. A normal float keeps
    // 53 of the 64 bits, a subnormal one fewer.
    let top = scale + 63;
    if top > 1023 {
        return f64::INFINITY;
    }
    let dropped = if top >= -1022 { 11 } else { 11 + (-1022 - top) };
    if dropped > 64 {
        return 0.0;
    }
    let kept = if dropped == 64 {
        0
    } else {
        mantissa >> dropped
    };
    let half = 1u64 << (dropped - 1);
    let below_half = mantissa & (half - 1);
    let round_up = mantissa & half != 0 && (below_half != 0 || sticky || kept & 1 == 1);
    let kept = kept + u64::from(round_up);
    // Adding the exponent, not masking it in, lets a mantissa that rounded up carry over, from
    // subnormal to normal and from the largest float to infinity too.
    let biased = if top >= -1022 {
        u64::try_from(top + 1022).unwrap_or(0)
    } else {
        0
    };
    f64::from_bits((biased << 52) + kept)
}
