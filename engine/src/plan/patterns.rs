//! The regular expressions of a query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;

/// The regular expressions of a query, each compiled once for all blocks, when it is first needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(Arc<Mutex<HashMap<String, Option<Regex>>>>);

impl Patterns {
    /// `None` if the text is no regular expression, or too large a one.
    pub(crate) fn get(&self, text: &str) -> Option<Regex> {
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(text) {
            return known.clone();
        }
        let regex = traceql::compile_regex(text).ok();
        compiled.insert(text.to_owned(), regex.clone());
        regex
    }
}
