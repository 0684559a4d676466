//! The proto3 JSON mapping of messages.
//!
//! 64-bit integers are texts, bytes are base64, enums are names, and what has its default value is
//! left out. Grafana reads some answers with a strict decoder: one unknown key fails the whole panel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::numbers::Wide;

/// A message, as far as its JSON goes.
pub(super) trait Message {
    /// Writes the fields that do not have their default value.
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error>;
}

impl<T: Message> Message for &T {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        (*self).write(object)
    }
}

/// A message as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Message> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Object(serializer.serialize_map(None)?);
        self.0.write(&mut object)?;
        object.0.end()
    }
}

/// Messages as JSON.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Message> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Json))
    }
}

/// A JSON object under way.
pub(super) struct Object<M>(M);

impl<M: SerializeMap> Object<M> {
    pub(super) fn text(&mut self, key: &str, value: &str) -> Result<(), M::Error> {
        if value.is_empty() {
            return Ok(());
        }
        self.0.serialize_entry(key, value)
    }

    pub(super) fn texts(&mut self, key: &str, values: &[String]) -> Result<(), M::Error> {
        if values.is_empty() {
            return Ok(());
        }
        self.0.serialize_entry(key, values)
    }

    pub(super) fn bytes(&mut self, key: &str, value: &[u8]) -> Result<(), M::Error> {
        self.text(key, &STANDARD.encode(value))
    }

    pub(super) fn narrow(&mut self, key: &str, value: u32) -> Result<(), M::Error> {
        if value == 0 {
            return Ok(());
        }
        self.0.serialize_entry(key, &value)
    }

    pub(super) fn wide(&mut self, key: &str, value: u64) -> Result<(), M::Error> {
        if value == 0 {
            return Ok(());
        }
        self.0.serialize_entry(key, &Wide(value))
    }

    /// The name of a number, or the number where it has none.
    pub(super) fn choice(
        &mut self,
        key: &str,
        number: i32,
        name: Option<&str>,
    ) -> Result<(), M::Error> {
        match name {
            _ if number == 0 => Ok(()),
            Some(name) => self.0.serialize_entry(key, name),
            None => self.0.serialize_entry(key, &number),
        }
    }

    pub(super) fn message<T: Message>(
        &mut self,
        key: &str,
        message: Option<&T>,
    ) -> Result<(), M::Error> {
        match message {
            Some(message) => self.0.serialize_entry(key, &Json(message)),
            None => Ok(()),
        }
    }

    /// A list that is there even if it is empty.
    pub(super) fn whole_list<T: Message>(&mut self, key: &str, list: &[T]) -> Result<(), M::Error> {
        self.0.serialize_entry(key, &List(list))
    }

    pub(super) fn list<T: Message>(&mut self, key: &str, list: &[T]) -> Result<(), M::Error> {
        if list.is_empty() {
            return Ok(());
        }
        self.whole_list(key, list)
    }

    /// A field with the value it has, whatever that is.
    pub(super) fn field(&mut self, key: &str, value: &impl Serialize) -> Result<(), M::Error> {
        self.0.serialize_entry(key, value)
    }
}
