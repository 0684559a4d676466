//! Go's regular expression syntax, written for the `regex` crate.

mod class;
mod escape;

use std::collections::HashSet;

/// Largest count in `{n,m}`.
const MAX_REPEAT: u32 = 1000;

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
