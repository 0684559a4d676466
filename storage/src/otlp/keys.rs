//! Keys of attributes, each kept once.

use std::sync::Arc;

use hashbrown::HashSet;

/// Gives equal keys one allocation.
#[derive(Debug, Default)]
pub struct KeyInterner {
    keys: HashSet<Arc<str>>,
}

impl KeyInterner {
    /// The shared form of a key.
    pub fn intern(&mut self, key: &str) -> Arc<str> {
        Arc::clone(self.keys.get_or_insert_with(key, |key| Arc::from(key)))
    }
}
