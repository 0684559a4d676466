//! Resources and scopes of a batch: many rows share one, which is recognised and made once.

use std::sync::Arc;

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_128;

use super::columns::Columns;
use crate::error::StorageError;
use crate::model::{InstrumentationScope, Resource};
use crate::otlp::KeyInterner;

/// Resources and scopes of a batch, each made once.
#[derive(Default)]
pub(super) struct Shared {
    resources: HashMap<u128, Arc<Resource>>,
    scopes: HashMap<u128, Arc<InstrumentationScope>>,
    signature: Vec<u8>,
}

impl Shared {
    /// The resource and the scope of a row.
    pub(super) fn of(
        &mut self,
        columns: &Columns<'_>,
        row: usize,
        keys: &mut KeyInterner,
    ) -> Result<(Arc<Resource>, Arc<InstrumentationScope>), StorageError> {
        self.signature.clear();
        columns.sign_resource(row, &mut self.signature);
        let signature = xxh3_128(&self.signature);
        let resource = match self.resources.get(&signature) {
            Some(resource) => Arc::clone(resource),
            None => {
                let resource = Arc::new(columns.resource(row, keys)?);
                self.resources.insert(signature, Arc::clone(&resource));
                resource
            }
        };
        self.signature.clear();
        columns.sign_scope(row, &mut self.signature);
        let signature = xxh3_128(&self.signature);
        let scope = match self.scopes.get(&signature) {
            Some(scope) => Arc::clone(scope),
            None => {
                let scope = Arc::new(columns.scope(row, keys)?);
                self.scopes.insert(signature, Arc::clone(&scope));
                scope
            }
        };
        Ok((resource, scope))
    }
}
