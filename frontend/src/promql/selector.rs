//! Recognising selectors: `up`, `up{job="a"}`, `{__name__=~".+"}`.

use super::lexer::{Located, Token, lex};

/// Whether the text is an instant vector selector and nothing more.
#[must_use]
pub fn is_selector(text: &str) -> bool {
    lex(text).is_ok_and(|tokens| is_selector_tokens(&tokens))
}

fn is_selector_tokens(tokens: &[Located]) -> bool {
    let mut tokens = tokens.iter().map(|located| &located.token).peekable();
    let named = tokens
        .next_if(|token| matches!(token, Token::Name(_)))
        .is_some();
    if tokens.peek().is_none() {
        return named;
    }
    if tokens.next() != Some(&Token::Symbol("{")) {
        return false;
    }
    loop {
        match tokens.next() {
            Some(Token::Symbol("}")) => return tokens.next().is_none(),
            Some(Token::Name(_)) => {
                if !is_match(&mut tokens) {
                    return false;
                }
            }
            // A quoted label name, or the quoted name of the metric.
            Some(Token::Text(_)) => {
                let alone = matches!(tokens.peek(), Some(Token::Symbol("," | "}")));
                if !alone && !is_match(&mut tokens) {
                    return false;
                }
            }
            _ => return false,
        }
        if tokens
            .next_if(|token| **token == Token::Symbol(","))
            .is_none()
            && tokens.peek() != Some(&&Token::Symbol("}"))
        {
            return false;
        }
    }
}

fn is_match<'a>(tokens: &mut impl Iterator<Item = &'a Token>) -> bool {
    matches!(tokens.next(), Some(Token::Symbol("=" | "!=" | "=~" | "!~")))
        && matches!(tokens.next(), Some(Token::Text(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        for text in [
            "up",
            "test",
            "job:rate:5m",
            "up{}",
            "up{job=\"a\"}",
            "{__name__=~\".+\"}",
            "ALERTS{alertstate='firing',}",
            "{\"http.requests\", \"a.b\"!=\"c\"}",
            " up { a = `b` , c !~ \"d\" } # comment",
        ] {
            assert!(is_selector(text), "{text}");
        }
    }

    #[test]
    fn anything_else() {
        for text in [
            "",
            "1",
            "up + 1",
            "rate(up[5m])",
            "up{",
            "up{job}",
            "up{job=}",
            "up{job=a}",
            "up{a=\"b\" c=\"d\"}",
            "up{} up",
            "{} | rate()",
            "up[5m]",
            "\"text\"",
        ] {
            assert!(!is_selector(text), "{text}");
        }
    }
}
