//! Texts that descriptions share.

use std::sync::Arc;

use hashbrown::HashMap;

/// Texts, each once, by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    listed: Vec<String>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Texts {
    /// All texts, in the order of their numbers.
    pub(super) fn into_listed(self) -> Vec<String> {
        self.listed
    }

    /// The number of a text.
    pub(super) fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.listed.len()).unwrap_or(u32::MAX);
        self.listed.push(text.to_string());
        self.numbers.insert(Arc::clone(text), number);
        number
    }
}
