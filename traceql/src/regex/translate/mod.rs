//! Go's regular expression syntax, written for the `regex` crate.

use std::collections::HashSet;

/// Largest count in `{n,m}`.
const MAX_REPEAT: u32 = 1000;

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

const PERL_CLASSES: [(char, &str); 6] = [
    ('d', "[0-9]"),
    ('D', "[^0-9]"),
    ('s', r"[\t\n\f\r ]"),
    ('S', r"[^\t\n\f\r ]"),
    ('w', "[0-9A-Za-z_]"),
    ('W', "[^0-9A-Za-z_]"),
];

/// The pattern for the `regex` crate, or what is wrong with it. Some mistakes are left for that
/// crate to find.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len() + 16),
        open_groups: 0,
        group_names: HashSet::new(),
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    rest: &'a str,
    out: String,
    open_groups: usize,
    group_names: HashSet<&'a str>,
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), String> {
        // Whether a repetition could not be repeated again: `a**` is a mistake.
        let mut after_repetition = false;
        while let Some(next) = self.bump() {
            let is_repetition = match next {
                '*' | '+' | '?' => {
                    self.out.push(next);
                    true
                }
                '{' => self.counted_repetition()?,
                _ => {
                    self.item(next)?;
                    false
                }
            };
            if is_repetition {
                if after_repetition {
                    return Err("repetition of a repetition".to_owned());
                }
                if self.eat('?') {
                    self.out.push('?');
                }
            }
            after_repetition = is_repetition;
        }
        if self.open_groups > 0 {
            Err("missing )".to_owned())
        } else {
            Ok(())
        }
    }

    /// Anything that is not a repetition; its first character has been consumed.
    fn item(&mut self, first: char) -> Result<(), String> {
        match first {
            '(' => self.group(),
            ')' => {
                // Without this check, a stray parenthesis would close the anchoring group.
                self.open_groups = self.open_groups.checked_sub(1).ok_or("unexpected )")?;
                self.out.push(')');
                Ok(())
            }
            '[' => self.class(),
            '\\' => self.escape(),
            '.' | '^' | '$' | '|' => {
                self.out.push(first);
                Ok(())
            }
            literal => {
                self.push_literal(literal);
                Ok(())
            }
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; otherwise the brace is literal. Says whether it was a repetition.
    fn counted_repetition(&mut self) -> Result<bool, String> {
        let counts = self.rest.split_once('}').and_then(|(inside, after)| {
            let (min, max) = match inside.split_once(',') {
                Some((min, "")) => (min, None),
                Some((min, max)) => (min, Some(max)),
                None => (inside, Some(inside)),
            };
            let is_count =
                |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && is_without_padding(text);
            (is_count(min) && max.is_none_or(is_count)).then_some((inside, min, max, after))
        });
        let Some((inside, min, max, after)) = counts else {
            self.push_literal('{');
            return Ok(false);
        };
        let count = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|count| *count <= MAX_REPEAT)
        };
        let min = count(min).ok_or("repetition count above 1000")?;
        if let Some(max) = max {
            let max = count(max).ok_or("repetition count above 1000")?;
            if max < min {
                return Err("repetition with counts in the wrong order".to_owned());
            }
        }
        self.out.push('{');
        self.out.push_str(inside);
        self.out.push('}');
        self.rest = after;
        Ok(true)
    }

    /// After `(`. Groups are printed without capturing.
    fn group(&mut self) -> Result<(), String> {
        if !self.eat('?') {
            self.open_group();
            return Ok(());
        }
        for prefix in ["P<", "<"] {
            if let Some(after) = self.rest.strip_prefix(prefix) {
                let (name, after) = after.split_once('>').ok_or("group name without >")?;
                let is_word = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
                if name.is_empty() || !name.bytes().all(is_word) {
                    return Err("invalid group name".to_owned());
                }
                if !self.group_names.insert(name) {
                    return Err("duplicate group name".to_owned());
                }
                self.rest = after;
                self.open_group();
                return Ok(());
            }
        }
        self.group_flags()
    }

    fn open_group(&mut self) {
        self.open_groups += 1;
        self.out.push_str("(?:");
    }

    /// `(?ims-U)` for the rest of the enclosing group, `(?ims-U:…)` for a group of its own.
    fn group_flags(&mut self) -> Result<(), String> {
        let length = self.rest.find([':', ')']).ok_or("missing )")?;
        let flags = &self.rest[..length];
        let names = flags.replacen('-', "", 1);
        if !names.bytes().all(|b| b"imsU".contains(&b)) || flags.ends_with('-') {
            return Err("unknown group flag".to_owned());
        }
        self.rest = &self.rest[length..];
        if self.eat(':') {
            self.open_groups += 1;
            self.out.extend(["(?", flags, ":"]);
        } else {
            self.eat(')');
            if !flags.is_empty() {
                self.out.extend(["(?", flags, ")"]);
            }
        }
        Ok(())
    }

    /// After a backslash outside of a class.
    fn escape(&mut self) -> Result<(), String> {
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

    /// After a backslash: `\d`, `\pL`, `\p{Greek}`, `\p{^Greek}` and the like, if one is there.
    fn named_class(&mut self) -> Result<bool, String> {
        let Some(letter) = self.rest.chars().next() else {
            return Ok(false);
        };
        if let Some((_, class)) = PERL_CLASSES.into_iter().find(|(name, _)| *name == letter) {
            self.bump();
            self.out.push_str(class);
            return Ok(true);
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(false);
        }
        self.bump();
        let name = match self.bump() {
            Some('{') => {
                let (name, after) = self.rest.split_once('}').ok_or("class name without }")?;
                self.rest = after;
                name.to_owned()
            }
            Some(single) => single.to_string(),
            None => return Err("missing class name".to_owned()),
        };
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (letter == 'p', name),
            None => (letter == 'P', name.as_str()),
        };
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return Err("invalid class name".to_owned());
        }
        self.out
            .extend([if negated { r"\P{" } else { r"\p{" }, name, "}"]);
        Ok(true)
    }

    /// After `[`.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.eat('^') {
            self.out.push('^');
        }
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            if self.posix_class()? {
                continue;
            }
            if self.rest.starts_with('\\') {
                let before = self.rest;
                self.bump();
                if self.named_class()? {
                    continue;
                }
                self.rest = before;
            }
            self.class_range()?;
        }
        self.bump();
        self.out.push(']');
        Ok(())
    }

    /// `[:alpha:]`, if one is there; a lone `[` is literal.
    fn posix_class(&mut self) -> Result<bool, String> {
        let Some((name, after)) = self
            .rest
            .strip_prefix("[:")
            .and_then(|inside| inside.split_once(":]"))
        else {
            return Ok(false);
        };
        let letters = name.strip_prefix('^').unwrap_or(name);
        if !POSIX_CLASSES.contains(&letters) {
            // The other crate would read it as a class of those letters.
            return Err("unknown class".to_owned());
        }
        self.out.extend(["[:", name, ":]"]);
        self.rest = after;
        Ok(true)
    }

    /// One character, or two with a `-` between them.
    fn class_range(&mut self) -> Result<(), String> {
        let low = self.class_character()?;
        self.push_number(low);
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.bump();
            let high = self.class_character()?;
            if high < low {
                return Err("class range in the wrong order".to_owned());
            }
            self.out.push('-');
            self.push_number(high);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.bump() {
            Some('\\') => self.escaped_character(),
            Some(character) => Ok(character),
            None => Err("missing ]".to_owned()),
        }
    }

    /// After a backslash: an escape that stands for one character.
    fn escaped_character(&mut self) -> Result<char, String> {
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

    fn push_literal(&mut self, character: char) {
        let mut buffer = [0; 4];
        self.out
            .push_str(&regex::escape(character.encode_utf8(&mut buffer)));
    }

    /// The character by its number, which means the same inside and outside of classes.
    fn push_number(&mut self, character: char) {
        if character.is_ascii_alphanumeric() {
            self.out.push(character);
        } else {
            self.out
                .push_str(&format!("\\x{{{:X}}}", u32::from(character)));
        }
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn eat(&mut self, character: char) -> bool {
        let after = self.rest.strip_prefix(character);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }
}

/// Counts are written without leading zeros, and not empty.
fn is_without_padding(count: &str) -> bool {
    !count.is_empty() && (count == "0" || !count.starts_with('0'))
}
