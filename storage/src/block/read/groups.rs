//! Spans put back into groups, whatever order they come in.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::block::Receipt;
use crate::block::hash::{resource_hash, scope_hash};
use crate::model::{InstrumentationScope, Resource, Span, SpanGroup};

/// Groups of spans by the content of their resource and scope, in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Vec<SpanGroup>,
    /// Those of the spans of each group.
    receipts: Vec<Vec<Receipt>>,
    index: HashMap<GroupHash, usize>,
    /// The answer for the resource and scope seen last. They are held, because an address that is
    /// free again may come back as another resource's.
    last: Option<(Arc<Resource>, Arc<InstrumentationScope>, usize)>,
}

/// Hashes of a resource and a scope.
pub(crate) type GroupHash = (u128, u128);

impl Groups {
    pub(crate) fn push(
        &mut self,
        resource: Arc<Resource>,
        scope: Arc<InstrumentationScope>,
        span: Span,
    ) {
        self.push_received(resource, scope, span, Receipt::default());
    }

    pub(crate) fn push_received(
        &mut self,
        resource: Arc<Resource>,
        scope: Arc<InstrumentationScope>,
        span: Span,
        receipt: Receipt,
    ) {
        let at = match &self.last {
            Some((last_resource, last_scope, at))
                if Arc::ptr_eq(last_resource, &resource) && Arc::ptr_eq(last_scope, &scope) =>
            {
                *at
            }
            _ => {
                // By content, because each batch makes its own allocations.
                let hash = group_hash(&resource, &scope);
                let (groups, receipts) = (&mut self.groups, &mut self.receipts);
                let at = *self.index.entry(hash).or_insert_with(|| {
                    groups.push(SpanGroup {
                        resource: Arc::clone(&resource),
                        scope: Arc::clone(&scope),
                        spans: Vec::new(),
                    });
                    receipts.push(Vec::new());
                    groups.len() - 1
                });
                self.last = Some((resource, scope, at));
                at
            }
        };
        self.groups[at].spans.push(span);
        self.receipts[at].push(receipt);
    }

    /// The groups, and of each the receipts of its spans.
    pub(crate) fn into_received(self) -> Vec<(SpanGroup, Vec<Receipt>)> {
        self.groups.into_iter().zip(self.receipts).collect()
    }

    pub(crate) fn into_groups(self) -> Vec<SpanGroup> {
        self.groups
    }
}

pub(crate) fn group_hash(resource: &Resource, scope: &InstrumentationScope) -> GroupHash {
    (resource_hash(resource), scope_hash(scope))
}
