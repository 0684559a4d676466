//! What the lexer produces.

use crate::ast::Attribute;
use crate::error::Error;
use crate::names::ColonScope;
use crate::text_range::TextRange;

/// One token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) range: TextRange,
}

/// The forms of a token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind<'a> {
    /// An identifier or a keyword.
    Word(&'a str),
    /// A scope with its dot and the key after it; they are never apart.
    Attribute(Attribute),
    /// `span:` and the like; the name is a token of its own.
    ColonScope(ColonScope),
    String(String),
    Integer(i64),
    Float(f64),
    Duration(i64),
    Symbol(Symbol),
    /// Text that is no token. It becomes an error when the parser gets here, so that the first
    /// mistake in the text is the one reported.
    Invalid(Error),
    End,
}

macro_rules! symbols {
    ($($name:ident $text:literal,)*) => {
        /// Punctuation and operators.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Symbol { $($name,)* }

        impl Symbol {
            /// The symbol written exactly so.
            pub(crate) fn from_text(text: &str) -> Option<Self> {
                Some(match text { $($text => Self::$name,)* _ => return None })
            }
        }
    };
}

symbols! {
    OpenBrace "{",
    CloseBrace "}",
    OpenParen "(",
    CloseParen ")",
    Comma ",",
    Pipe "|",
    Eq "=",
    NotEq "!=",
    Regex "=~",
    NotRegex "!~",
    Not "!",
    Lt "<",
    LtEq "<=",
    Gt ">",
    GtEq ">=",
    Plus "+",
    Minus "-",
    Star "*",
    Slash "/",
    Percent "%",
    Caret "^",
    And "&&",
    Or "||",
    Descendant ">>",
    Ancestor "<<",
    Sibling "~",
    NotChild "!>",
    NotParent "!<",
    NotDescendant "!>>",
    NotAncestor "!<<",
    UnionChild "&>",
    UnionParent "&<",
    UnionDescendant "&>>",
    UnionAncestor "&<<",
    UnionSibling "&~",
}
