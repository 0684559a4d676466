//! Spans in the order in which they come: what the columns need of them, and where they came from.

use std::sync::Arc;

use hashbrown::HashMap;

use super::attributes::{Collect, Datum, ScopeAttributes};
use super::text::TextCodes;
use crate::block::hash::{resource_hash, scope_hash};
use crate::block::meta::AttributeScope;
use crate::block::receipt::Receipt;
use crate::block::write::row_number::row_number;
use crate::error::StorageError;
use crate::ids::{SpanId, TraceId};
use crate::model::{InstrumentationScope, Resource, Span};

/// Most rows of one block. Nested-set numbers, two a row, are 32-bit.
const MAX_ROWS: usize = 1 << 30;

/// A span without its attributes. Texts are codes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpanRow {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) kind: i32,
    pub(super) status_code: i32,
    pub(super) flags: u32,
    pub(super) dropped_attributes_count: u32,
    pub(super) dropped_events_count: u32,
    pub(super) dropped_links_count: u32,
    pub(super) name: i32,
    pub(super) status_message: i32,
    pub(super) trace_state: i32,
    /// First event, and one after the last.
    pub(super) events: (u32, u32),
    /// First link, and one after the last.
    pub(super) links: (u32, u32),
    pub(super) resource: u32,
    pub(super) scope: u32,
}

impl SpanRow {
    /// End minus start in ns, as [`Span::duration_ns`] has it.
    pub(super) fn duration_ns(&self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns).max(0)
    }
}

/// Where a whole span can be found again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    Model(&'a Span, Receipt),
    Wire {
        /// The bytes of the span's message.
        message: &'a [u8],
        /// What is added to its times.
        offset_ns: i64,
        /// When its request arrived, if that is known; seconds, rounded up.
        received_s: Option<i64>,
    },
}

impl Origin<'_> {
    /// When the span arrived, if that is known; seconds, rounded up.
    pub(super) fn received_s(&self) -> Option<i64> {
        match self {
            Self::Model(_, receipt) => receipt.second,
            Self::Wire { received_s, .. } => *received_s,
        }
    }

    /// Length of the span's message as it was accepted; none if it never was one.
    pub(super) fn received_bytes(&self) -> Option<u32> {
        match self {
            Self::Model(_, receipt) => receipt.bytes,
            Self::Wire { message, .. } => u32::try_from(message.len()).ok(),
        }
    }
}

/// An event, or what of it a link has, too.
#[derive(Debug, Clone, Default)]
pub(super) struct Item<'a> {
    pub(super) time_ns: i64,
    /// The name of an event, the trace state of a link.
    pub(super) text: &'a str,
    pub(super) dropped_attributes_count: u32,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) flags: u32,
    pub(super) attributes: Vec<(&'a str, Datum<'a>)>,
}

/// Spans as they came.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub(super) spans: Vec<SpanRow>,
    pub(super) origins: Vec<Origin<'a>>,
    pub(super) names: TextCodes<'a>,
    pub(super) status_messages: TextCodes<'a>,
    pub(super) trace_states: TextCodes<'a>,
    pub(super) attributes: ScopeAttributes<'a>,
    pub(super) events: Vec<Item<'a>>,
    pub(super) links: Vec<Item<'a>>,
    /// Distinct resources with their hashes.
    pub(super) resources: Distinct<Resource>,
    /// Distinct scopes with their hashes.
    pub(super) scopes: Distinct<InstrumentationScope>,
}

impl<'a> Arrived<'a> {
    pub(super) fn with_capacity(span_count: usize) -> Self {
        Self {
            spans: Vec::with_capacity(span_count),
            origins: Vec::with_capacity(span_count),
            names: TextCodes::default(),
            status_messages: TextCodes::default(),
            trace_states: TextCodes::default(),
            attributes: ScopeAttributes::new(AttributeScope::Span, Collect::Values),
            events: Vec::new(),
            links: Vec::new(),
            resources: Distinct::new(resource_hash),
            scopes: Distinct::new(scope_hash),
        }
    }

    /// The number of the next span, which its attributes go by.
    pub(super) fn unit(&self) -> u32 {
        row_number(self.spans.len())
    }

    /// Adds a span whose attributes were added before.
    pub(super) fn push(&mut self, row: SpanRow, origin: Origin<'a>) -> Result<(), StorageError> {
        self.spans.push(row);
        self.origins.push(origin);
        if self.spans.len() > MAX_ROWS {
            return Err(StorageError::BlockTooLarge {
                what: "spans",
                count: self.spans.len() as u64,
                limit: MAX_ROWS as u64,
            });
        }
        Ok(())
    }
}

/// Things by content, numbered.
#[derive(Debug)]
pub(super) struct Distinct<T> {
    pub(super) items: Vec<(Arc<T>, u128)>,
    by_content: HashMap<u128, u32>,
    /// By address of the allocation, or by what else tells contents apart.
    by_name: HashMap<u128, u32>,
    hash: fn(&T) -> u128,
}

impl<T> Distinct<T> {
    fn new(hash: fn(&T) -> u128) -> Self {
        Self {
            items: Vec::new(),
            by_content: HashMap::new(),
            by_name: HashMap::new(),
            hash,
        }
    }

    /// The number of an item. Equal names must mean equal items, and then the item is not made.
    pub(super) fn index(&mut self, name: u128, item: impl FnOnce() -> Arc<T>) -> u32 {
        if let Some(index) = self.by_name.get(&name) {
            return *index;
        }
        let item = item();
        let hash = (self.hash)(&item);
        let items = &mut self.items;
        let index = *self.by_content.entry(hash).or_insert_with(|| {
            items.push((item, hash));
            row_number(items.len() - 1)
        });
        self.by_name.insert(name, index);
        index
    }
}
