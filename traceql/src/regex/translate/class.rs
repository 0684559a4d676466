//! Classes of characters: `\d`, `\p{Greek}`, `[a-z]`.

use super::Translator;

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

impl Translator<'_> {
    /// After a backslash: `\d`, `\pL`, `\p{Greek}`, `\p{^Greek}` and the like, if one is there.
    pub(super) fn named_class(&mut self) -> Result<bool, String> {
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
    pub(super) fn class(&mut self) -> Result<(), String> {
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
}
