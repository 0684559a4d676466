//! The values of one attribute, with the spans that have them.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::spans::SpanCounts;
use crate::grid::Placement;
use crate::key::{KeyValue, NIL};
use crate::series::LabelValue;

/// A value of an attribute, as a column has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SeenValue<'a> {
    Text(&'a str),
    /// Anything but text.
    Other(KeyValue<'static>),
}

impl SeenValue<'_> {
    /// What every array is shown as.
    pub(crate) const fn array() -> Self {
        Self::Text(NIL)
    }
}

/// The spans that have an attribute, by value.
#[derive(Debug, Default)]
pub(crate) struct CountedValues {
    texts: HashMap<String, SpanCounts>,
    others: HashMap<KeyValue<'static>, SpanCounts>,
    /// Whether spans are told apart by interval.
    by_place: bool,
    /// Bytes that are held, about.
    bytes: usize,
}

/// Bytes of one more value, about: with its control byte, and the free places of a table.
const VALUE_BYTES: usize = (size_of::<(KeyValue<'_>, SpanCounts)>() + 1) * 4 / 3;
const PLACE_BYTES: usize = size_of::<(u32, u64)>();

impl CountedValues {
    /// None yet. `by_place` is whether spans are told apart by interval.
    pub(super) fn new(by_place: bool) -> Self {
        Self {
            by_place,
            ..Self::default()
        }
    }

    /// Bytes that are held, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts spans with a value by place.
    pub(crate) fn add(&mut self, value: SeenValue<'_>, spans: &[(u32, u64)]) {
        let held = match value {
            SeenValue::Text(text) => {
                let bytes = &mut self.bytes;
                self.texts.entry_ref(text).or_insert_with(|| {
                    *bytes += VALUE_BYTES + text_bytes(text);
                    SpanCounts::default()
                })
            }
            SeenValue::Other(KeyValue::Nil) => return,
            SeenValue::Other(value) => {
                let bytes = &mut self.bytes;
                self.others.entry(value).or_insert_with(|| {
                    *bytes += VALUE_BYTES;
                    SpanCounts::default()
                })
            }
        };
        for &(place, spans) in spans {
            self.bytes += held.add(place, spans, self.by_place) * PLACE_BYTES;
        }
    }

    /// Adds the spans of others.
    pub(super) fn merge(&mut self, other: Self) {
        if self.len() == 0 {
            *self = other;
            return;
        }
        let bytes = &mut self.bytes;
        for (text, spans) in other.texts {
            let room = VALUE_BYTES + text_bytes(&text);
            merge(self.texts.entry(text), room, spans, bytes);
        }
        for (value, spans) in other.others {
            merge(self.others.entry(value), VALUE_BYTES, spans, bytes);
        }
    }

    /// Adds the spans of others in some intervals.
    pub(super) fn merge_part(&mut self, other: &Self, placement: Placement) {
        let mut counts = Vec::new();
        for (text, spans) in &other.texts {
            spans.part(placement, other.by_place, &mut counts);
            if !counts.is_empty() {
                self.add(SeenValue::Text(text), &counts);
            }
        }
        for (value, spans) in &other.others {
            spans.part(placement, other.by_place, &mut counts);
            if !counts.is_empty() {
                self.add(SeenValue::Other(*value), &counts);
            }
        }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.texts.len() + self.others.len()
    }

    /// The spans of each value.
    pub(super) fn spans(&self) -> impl Iterator<Item = &SpanCounts> {
        self.texts.values().chain(self.others.values())
    }

    /// Each value as it is shown and ordered, with its spans.
    pub(super) fn shown(&self) -> impl Iterator<Item = (ShownValue<'_>, &SpanCounts)> {
        let texts = self.texts.iter();
        let texts = texts.map(|(text, spans)| (ShownValue::Text(text), spans));
        let others = self.others.iter();
        texts.chain(others.map(|(value, spans)| (ShownValue::Other(value.label_or_nil()), spans)))
    }
}

fn merge<K: std::hash::Hash>(
    entry: hashbrown::hash_map::Entry<'_, K, SpanCounts, hashbrown::DefaultHashBuilder>,
    room: usize,
    spans: SpanCounts,
    bytes: &mut usize,
) {
    match entry {
        hashbrown::hash_map::Entry::Occupied(mut held) => {
            *bytes += held.get_mut().add_all(&spans) * PLACE_BYTES;
        }
        hashbrown::hash_map::Entry::Vacant(vacant) => {
            *bytes += room + spans.by_place.len() * PLACE_BYTES;
            vacant.insert(spans);
        }
    }
}

/// Bytes of a text, with those that an allocation takes besides.
pub(super) const fn text_bytes(text: &str) -> usize {
    text.len() + 16
}

/// A value as it is shown.
pub(super) enum ShownValue<'a> {
    Text(&'a str),
    Other(LabelValue),
}

impl<'a> ShownValue<'a> {
    /// See [`LabelValue::sort_key`].
    pub(super) fn sort_key(&self) -> (&'static str, Cow<'a, str>) {
        match self {
            Self::Text(text) => ("string", Cow::Borrowed(*text)),
            Self::Other(value) => {
                let (value_type, text) = value.sort_key();
                (value_type, Cow::Owned(text.into_owned()))
            }
        }
    }

    pub(super) fn into_label(self) -> LabelValue {
        match self {
            Self::Text(text) => LabelValue::String(text.into()),
            Self::Other(value) => value,
        }
    }
}
