//! The walk that finds out whether a request is plain.

use super::bounds::PlainBounds;
use crate::otlp::wire::{Fields, Wire, short_attribute, short_text};

/// Levels of protobuf messages inside one value up to which bytes count as plain. Decoders stop at 100
/// levels of a request, of which a value in an event is inside of six.
const MAX_VALUE_LEVELS: u32 = 90;

/// The walk that finds out whether a request is plain. Everything is, or the walk ends.
pub(super) struct Check<'b> {
    pub(super) bounds: &'b PlainBounds,
    pub(super) spans: u64,
    pub(super) messages: u64,
}

/// Marks a field that may stand once.
fn once(seen: &mut bool) -> Option<()> {
    (!std::mem::replace(seen, true)).then_some(())
}

fn text(bytes: &[u8]) -> Option<()> {
    std::str::from_utf8(bytes).ok().map(drop)
}

fn id<const N: usize>(bytes: &[u8]) -> Option<()> {
    let id = <[u8; N]>::try_from(bytes).ok()?;
    (id != [0; N]).then_some(())
}

fn time(unix_nano: u64) -> Option<()> {
    i64::try_from(unix_nano).ok().map(drop)
}

/// Calls `field` for each field of a message, to its very end.
fn each<'a>(message: &'a [u8], mut field: impl FnMut(u32, Wire<'a>) -> Option<()>) -> Option<()> {
    let mut fields = Fields::of(message);
    for (number, value) in fields.by_ref() {
        field(number, value)?;
    }
    fields.is_complete().then_some(())
}

impl Check<'_> {
    /// Counts one more message; `None` if that is one too many.
    fn count(&mut self) -> Option<()> {
        self.messages += 1;
        (self.messages <= self.bounds.messages).then_some(())
    }

    /// Goes through a request; `None` if it is not plain.
    pub(super) fn request(&mut self, message: &[u8]) -> Option<()> {
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(resource_spans)) => {
                self.count()?;
                self.resource_spans(resource_spans)
            }
            (1, _) => None,
            _ => Some(()),
        })
    }

    fn resource_spans(&mut self, message: &[u8]) -> Option<()> {
        let mut has_resource = false;
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(resource)) => {
                once(&mut has_resource)?;
                self.resource(resource)
            }
            (2, Wire::Bytes(scope_spans)) => {
                self.count()?;
                self.scope_spans(scope_spans)
            }
            (3, Wire::Bytes(url)) => text(url),
            (1..=3, _) => None,
            _ => Some(()),
        })
    }

    fn resource(&mut self, message: &[u8]) -> Option<()> {
        let mut attributes = 0;
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(attribute)) => {
                attributes += 1;
                self.attribute(attribute, 0, 0)
            }
            (2, Wire::Varint(_)) => Some(()),
            (3, Wire::Bytes(entity)) => {
                self.count()?;
                each(entity, |number, value| match (number, value) {
                    (1 | 2, Wire::Bytes(part)) => text(part),
                    (3 | 4, Wire::Bytes(key)) => {
                        self.count()?;
                        text(key)
                    }
                    (1..=4, _) => None,
                    _ => Some(()),
                })
            }
            (1..=3, _) => None,
            _ => Some(()),
        })?;
        (attributes <= self.bounds.resource_attributes).then_some(())
    }

    fn scope_spans(&mut self, message: &[u8]) -> Option<()> {
        let mut has_scope = false;
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(scope)) => {
                once(&mut has_scope)?;
                self.scope(scope)
            }
            (2, Wire::Bytes(span)) => self.span(span),
            (3, Wire::Bytes(url)) => text(url),
            (1..=3, _) => None,
            _ => Some(()),
        })
    }

    fn scope(&mut self, message: &[u8]) -> Option<()> {
        let mut attributes = 0;
        each(message, |number, value| match (number, value) {
            (1 | 2, Wire::Bytes(part)) => text(part),
            (3, Wire::Bytes(attribute)) => {
                attributes += 1;
                self.attribute(attribute, 0, 0)
            }
            (4, Wire::Varint(_)) => Some(()),
            (1..=4, _) => None,
            _ => Some(()),
        })?;
        (attributes <= self.bounds.resource_attributes).then_some(())
    }

    fn span(&mut self, message: &[u8]) -> Option<()> {
        let bounds = self.bounds;
        self.count()?;
        self.spans += 1;
        if message.len() > bounds.span_len || self.spans > bounds.spans {
            return None;
        }
        let (mut has_trace_id, mut has_span_id, mut has_status) = (false, false, false);
        let (mut attributes, mut events, mut links) = (0, 0, 0);
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(trace_id)) => {
                has_trace_id = true;
                id::<16>(trace_id)
            }
            (2, Wire::Bytes(span_id)) => {
                has_span_id = true;
                id::<8>(span_id)
            }
            (3 | 5, Wire::Bytes(part)) => text(part),
            (4, Wire::Bytes(parent)) => matches!(parent.len(), 0 | 8).then_some(()),
            (6 | 10 | 12 | 14, Wire::Varint(_)) | (16, Wire::Fixed32(_)) => Some(()),
            (7, Wire::Fixed64(start)) => (start <= bounds.start_ns).then_some(time(start)?),
            (8, Wire::Fixed64(end)) => time(end),
            (9, Wire::Bytes(attribute)) => {
                attributes += 1;
                self.attribute(attribute, 0, 0)
            }
            (11, Wire::Bytes(event)) => {
                events += 1;
                self.event(event)
            }
            (13, Wire::Bytes(link)) => {
                links += 1;
                self.link(link)
            }
            (15, Wire::Bytes(status)) => {
                once(&mut has_status)?;
                each(status, |number, value| match (number, value) {
                    (2, Wire::Bytes(message)) => text(message),
                    (3, Wire::Varint(_)) => Some(()),
                    (2 | 3, _) => None,
                    _ => Some(()),
                })
            }
            (1..=16, _) => None,
            _ => Some(()),
        })?;
        let within = attributes <= bounds.span_attributes
            && events <= bounds.events
            && links <= bounds.links;
        (within && has_trace_id && has_span_id).then_some(())
    }

    fn event(&mut self, message: &[u8]) -> Option<()> {
        self.count()?;
        let mut attributes = 0;
        each(message, |number, value| match (number, value) {
            (1, Wire::Fixed64(at)) => time(at),
            (2, Wire::Bytes(name)) => text(name),
            (3, Wire::Bytes(attribute)) => {
                attributes += 1;
                self.attribute(attribute, 0, 0)
            }
            (4, Wire::Varint(_)) => Some(()),
            (1..=4, _) => None,
            _ => Some(()),
        })?;
        (attributes <= self.bounds.event_attributes).then_some(())
    }

    fn link(&mut self, message: &[u8]) -> Option<()> {
        self.count()?;
        let (mut has_trace_id, mut has_span_id, mut attributes) = (false, false, 0);
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(trace_id)) => {
                has_trace_id = true;
                id::<16>(trace_id)
            }
            (2, Wire::Bytes(span_id)) => {
                has_span_id = true;
                id::<8>(span_id)
            }
            (3, Wire::Bytes(state)) => text(state),
            (4, Wire::Bytes(attribute)) => {
                attributes += 1;
                self.attribute(attribute, 0, 0)
            }
            (5, Wire::Varint(_)) | (6, Wire::Fixed32(_)) => Some(()),
            (1..=6, _) => None,
            _ => Some(()),
        })?;
        let within = attributes <= self.bounds.event_attributes;
        (within && has_trace_id && has_span_id).then_some(())
    }

    /// A key; `is_text` if it is known to be text.
    fn key(&self, key: &[u8], is_text: bool) -> Option<()> {
        (key.len() <= self.bounds.key_len && (is_text || text(key).is_some())).then_some(())
    }

    /// A value that is text; `is_text` if that is known.
    fn value_text(&self, value: &[u8], is_text: bool) -> Option<()> {
        (value.len() <= self.bounds.value_len && (is_text || text(value).is_some())).then_some(())
    }

    /// An attribute; `depth` counts the arrays and maps around it, `levels` the messages.
    fn attribute(&mut self, message: &[u8], depth: u32, levels: u32) -> Option<()> {
        self.count()?;
        if levels == 0
            && let Some((key, value)) = short_attribute(message)
        {
            // Lengths and tags are ASCII, too.
            let is_ascii = message.is_ascii();
            self.key(key, is_ascii)?;
            return match short_text(value) {
                Some(text) => self.value_text(text, is_ascii),
                None => self.value(value, depth, levels),
            };
        }
        let mut has_value = false;
        each(message, |number, value| match (number, value) {
            (1, Wire::Bytes(key)) => self.key(key, false),
            (2, Wire::Bytes(value)) => {
                once(&mut has_value)?;
                self.value(value, depth, levels)
            }
            // An index into a table of strings, which traces have not.
            (3, Wire::Varint(_)) => Some(()),
            (1..=3, _) => None,
            _ => Some(()),
        })
    }

    fn value(&mut self, message: &[u8], depth: u32, levels: u32) -> Option<()> {
        if levels > MAX_VALUE_LEVELS {
            return None;
        }
        let mut has_value = false;
        each(message, |number, value| {
            if number <= 8 {
                once(&mut has_value)?;
            }
            match (number, value) {
                (1, Wire::Bytes(text)) => self.value_text(text, false),
                (2 | 3 | 8, Wire::Varint(_)) | (4, Wire::Fixed64(_)) => Some(()),
                (5, Wire::Bytes(array)) => {
                    self.nested(depth)?;
                    items(array, |value| {
                        self.count()?;
                        self.value(value, depth + 1, levels + 2)
                    })
                }
                (6, Wire::Bytes(map)) => {
                    self.nested(depth)?;
                    items(map, |attribute| {
                        self.attribute(attribute, depth + 1, levels + 3)
                    })
                }
                (7, Wire::Bytes(bytes)) => (bytes.len() <= self.bounds.value_len).then_some(()),
                (1..=8, _) => None,
                _ => Some(()),
            }
        })
    }

    /// Goes on if one more level of arrays and maps is allowed, even if nothing is in it.
    fn nested(&self, depth: u32) -> Option<()> {
        (depth < self.bounds.value_depth).then_some(())
    }
}

/// The items of an array or a map.
fn items<'a>(message: &'a [u8], mut item: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    each(message, |number, value| match (number, value) {
        (1, Wire::Bytes(message)) => item(message),
        (1, _) => None,
        _ => Some(()),
    })
}
