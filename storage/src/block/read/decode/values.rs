//! Columns of texts and of attributes, and what a row has in them.

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int32Array, Int64Array,
    StringArray,
};
use arrow::datatypes::Int32Type;
use xxhash_rust::xxh3::xxh3_64;

use crate::block::read::entries::Entries;
use crate::error::StorageError;
use crate::model::{AnyValue, Attribute};
use crate::otlp::KeyInterner;

/// Text, dictionary-coded or not.
pub(super) enum TextColumn<'a> {
    Plain(&'a StringArray),
    Dictionary(&'a Int32Array, &'a StringArray),
}

impl<'a> TextColumn<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Option<Self> {
        if let Some(plain) = array.as_string_opt::<i32>() {
            return Some(Self::Plain(plain));
        }
        let dictionary = array.as_dictionary_opt::<Int32Type>()?;
        Some(Self::Dictionary(
            dictionary.keys(),
            dictionary.values().as_string_opt::<i32>()?,
        ))
    }

    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Dictionary(keys, values) => {
                let key = keys.is_valid(row).then(|| keys.value(row))?;
                let key = usize::try_from(key).ok()?;
                (key < values.len()).then(|| values.value(key))
            }
        }
    }

    pub(super) fn owned(&self, row: usize) -> String {
        self.get(row).unwrap_or_default().to_owned()
    }

    /// Something that is equal for equal texts of this array, and cheap.
    pub(super) fn code(&self, row: usize) -> u64 {
        match self {
            Self::Plain(_) => self
                .get(row)
                .map_or(u64::MAX, |text| xxh3_64(text.as_bytes()) & (u64::MAX >> 1)),
            Self::Dictionary(keys, _) => {
                if keys.is_valid(row) {
                    u64::from(keys.value(row).cast_unsigned())
                } else {
                    u64::MAX
                }
            }
        }
    }
}

/// An attribute column.
pub(super) enum AttributeColumn<'a> {
    Text(TextColumn<'a>),
    Int(&'a Int64Array),
    Double(&'a Float64Array),
    Bool(&'a BooleanArray),
}

impl<'a> AttributeColumn<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Option<Self> {
        let any = array.as_any();
        any.downcast_ref()
            .map(Self::Int)
            .or_else(|| any.downcast_ref().map(Self::Double))
            .or_else(|| any.downcast_ref().map(Self::Bool))
            .or_else(|| TextColumn::new(array).map(Self::Text))
    }

    pub(super) fn get(&self, row: usize) -> Option<AnyValue> {
        match self {
            Self::Text(text) => text.get(row).map(|text| AnyValue::String(text.to_owned())),
            Self::Int(array) => array.is_valid(row).then(|| AnyValue::Int(array.value(row))),
            Self::Double(array) => array
                .is_valid(row)
                .then(|| AnyValue::Double(array.value(row))),
            Self::Bool(array) => array
                .is_valid(row)
                .then(|| AnyValue::Bool(array.value(row))),
        }
    }

    /// Something that is equal for equal values of this column, and cheap.
    pub(super) fn code(&self, row: usize) -> [u64; 2] {
        match self {
            Self::Text(text) => [0, text.code(row)],
            Self::Int(array) if array.is_valid(row) => [1, array.value(row).cast_unsigned()],
            Self::Double(array) if array.is_valid(row) => [1, array.value(row).to_bits()],
            Self::Bool(array) if array.is_valid(row) => [1, u64::from(array.value(row))],
            Self::Int(_) | Self::Double(_) | Self::Bool(_) => [0, 0],
        }
    }
}

/// The attributes of one scope: those with a column of their own, and the residual ones.
pub(super) struct AttributeColumns<'a> {
    pub(super) typed: Vec<(&'a str, AttributeColumn<'a>)>,
    pub(super) residual: Entries<'a>,
}

impl AttributeColumns<'_> {
    pub(super) fn read(
        &self,
        row: usize,
        keys: &mut KeyInterner,
        object: &str,
    ) -> Result<Vec<Attribute>, StorageError> {
        let mut out = Vec::new();
        for (key, column) in &self.typed {
            if let Some(value) = column.get(row) {
                out.push(Attribute {
                    key: keys.intern(key),
                    value,
                });
            }
        }
        self.residual.read(row, keys, object, &mut out)?;
        Ok(out)
    }

    /// Appends bytes that are equal for equal attributes.
    pub(super) fn sign(&self, row: usize, out: &mut Vec<u8>) {
        for (_, column) in &self.typed {
            column
                .code(row)
                .into_iter()
                .for_each(|code| out.extend(code.to_le_bytes()));
        }
        self.residual.sign(row, out);
    }
}
