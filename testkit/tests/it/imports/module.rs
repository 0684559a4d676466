//! What one file imports, as it is written.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// Names of modules and of an item, from the root of the crate if nothing else is said.
pub(super) type Names = Vec<String>;

/// A module that is a file.
#[derive(Default)]
pub(super) struct Module {
    pub(super) path: Names,
    pub(super) file: String,
    /// Modules that it declares and that are files.
    pub(super) children: Vec<String>,
    /// What `use` gives a name in it.
    pub(super) uses: Vec<Use>,
    /// Paths that stand elsewhere.
    pub(super) paths: Vec<Found>,
    /// All words that stand elsewhere.
    pub(super) words: BTreeSet<String>,
}

/// A path as it is written.
pub(super) struct Found {
    /// The module around it: the file's own, or one inside it.
    pub(super) around: Names,
    pub(super) names: Names,
    pub(super) line: usize,
}

pub(super) struct Use {
    pub(super) path: Found,
    /// `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) is_public: bool,
}

impl Module {
    /// What gives something a name in the module `around`, which is this file or stands in it.
    pub(super) fn named(&self, name: &str, around: &[String]) -> Option<&Use> {
        let is_it = |one: &&Use| one.name.as_deref() == Some(name) && one.path.around == around;
        self.uses.iter().find(is_it)
    }

    /// Reads tokens inside the module `around`, which is this file or stands in it.
    pub(super) fn read(&mut self, tokens: TokenStream, around: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let rest = &tokens[at..];
            at += match token {
                TokenTree::Punct(_) if is_for_tests(rest) => item_length(rest),
                TokenTree::Ident(word) if word == "use" && !is_punct(rest.get(1), '<') => {
                    let length = rest.iter().position(|token| is_punct(Some(token), ';'));
                    let length = length.unwrap_or(rest.len());
                    let is_public = is_public(&tokens[..at]);
                    self.read_use(&rest[1..length], around, &[], is_public);
                    length
                }
                TokenTree::Ident(word) if word == "mod" => self.read_module(rest, around),
                TokenTree::Ident(word) => {
                    if !is_member(&tokens[..at]) {
                        self.words.insert(word.to_string());
                    }
                    let names = path(rest);
                    let length = names.len() * 3 - 2;
                    let goes_on = is_colons(&tokens[..at]);
                    if names.len() > 1 && !goes_on {
                        self.paths.push(Found {
                            around: around.to_vec(),
                            names,
                            line: word.span().start().line,
                        });
                    }
                    length
                }
                TokenTree::Group(group) => {
                    // Who may see an item is not what the item needs.
                    if !is_visibility(group) {
                        self.read(group.stream(), around);
                    }
                    1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
        }
    }

    /// Reads `mod name;` or `mod name { … }`, and says how many tokens it has.
    fn read_module(&mut self, tokens: &[TokenTree], around: &[String]) -> usize {
        match (tokens.get(1), tokens.get(2)) {
            (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) => {
                let inside = [around, &[name.to_string()]].concat();
                self.read(body.stream(), &inside);
                3
            }
            (Some(TokenTree::Ident(name)), _) => {
                self.children.push(name.to_string());
                2
            }
            _ => 1,
        }
    }

    /// Reads what follows `use`, all of it behind a path.
    fn read_use(
        &mut self,
        tokens: &[TokenTree],
        around: &[String],
        before: &[String],
        is_public: bool,
    ) {
        for tree in tokens.split(|token| is_punct(Some(token), ',')) {
            let Some(TokenTree::Ident(first)) = tree.first() else {
                // `::name` leads out of the crate, a bare `*` is a glob behind the path.
                if is_punct(tree.first(), '*') {
                    let line = tree[0].span().start().line;
                    self.add_use((around, before.to_vec(), line), None, is_public);
                }
                continue;
            };
            let line = first.span().start().line;
            let own = path(tree);
            let rest = &tree[own.len() * 3 - 2..];
            let mut names = [before, &own[..]].concat();
            let renamed = match rest {
                [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "as" => Some(name),
                _ => None,
            };
            match rest.get(2) {
                Some(TokenTree::Group(group)) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.read_use(&inner, around, &names, is_public);
                }
                Some(star) if is_punct(Some(star), '*') => {
                    self.add_use((around, names, line), None, is_public);
                }
                _ => {
                    if names.len() > 1 && names.last().is_some_and(|name| name == "self") {
                        names.pop();
                    }
                    let name = renamed.map(Ident::to_string);
                    let name = name.or_else(|| names.last().cloned());
                    self.add_use((around, names, line), name, is_public);
                }
            }
        }
    }

    fn add_use(
        &mut self,
        (around, names, line): (&[String], Names, usize),
        name: Option<String>,
        is_public: bool,
    ) {
        let around = around.to_vec();
        self.uses.push(Use {
            path: Found {
                around,
                names,
                line,
            },
            name,
            is_public,
        });
    }
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

/// Whether tokens end with `::`.
fn is_colons(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [.., one, two] if is_punct(Some(one), ':') && is_punct(Some(two), ':'))
}

/// Whether a word behind these tokens names a field or a method, or a function that is defined.
fn is_member(tokens: &[TokenTree]) -> bool {
    match tokens.last() {
        Some(TokenTree::Ident(word)) => word == "fn",
        last => is_punct(last, '.'),
    }
}

/// The names of a path that begins with the first token.
fn path(tokens: &[TokenTree]) -> Names {
    let mut names = Names::new();
    let mut rest = tokens;
    while let Some(TokenTree::Ident(name)) = rest.first() {
        names.push(name.to_string());
        let goes_on = is_punct(rest.get(1), ':') && is_punct(rest.get(2), ':');
        if !goes_on {
            break;
        }
        rest = &rest[3..];
    }
    names
}

/// Whether tokens begin with `#[cfg(test)]`.
fn is_for_tests(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(hash), TokenTree::Group(attribute), ..]
        if hash.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)")
}

/// How many tokens an item has, with the attributes before it.
fn item_length(tokens: &[TokenTree]) -> usize {
    let is_attribute = |at: usize| at > 0 && is_punct(tokens.get(at - 1), '#');
    // What has braces ends with them, unless a semicolon must follow.
    let has_semicolon = |before: &[TokenTree]| {
        before.iter().any(|token| {
            matches!(token, TokenTree::Ident(word) if ["use", "const", "static", "let"].contains(&word.to_string().as_str()))
                || is_punct(Some(token), '=')
        })
    };
    let is_end = |(at, token): (usize, &TokenTree)| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::Brace
                && !is_attribute(at)
                && !has_semicolon(&tokens[..at])
        }
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let end = tokens.iter().enumerate().position(is_end);
    end.map_or(tokens.len(), |end| end + 1)
}

/// Whether tokens end with `pub` or `pub(…)`.
fn is_public(tokens: &[TokenTree]) -> bool {
    let is_pub = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "pub");
    match tokens {
        [.., public, TokenTree::Group(group)] if is_pub(public) => {
            group.delimiter() == Delimiter::Parenthesis
        }
        [.., public] => is_pub(public),
        [] => false,
    }
}

/// Whether a group is the `(in …)` of a visibility.
fn is_visibility(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Parenthesis
        && matches!(first, Some(TokenTree::Ident(word)) if word == "in")
}
