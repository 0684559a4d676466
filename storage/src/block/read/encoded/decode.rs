//! Pages of a column chunk to codes and values.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, UInt32Array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};

use super::page::{PageCodes, PageContent};
use super::values;
use crate::block::hybrid::{Hybrid, encode, width_of};
use crate::block::read::page_reader::damaged;

/// What pages of a column hold.
#[derive(Debug, Clone)]
pub(super) struct PageDecoder {
    pub(super) data_type: DataType,
    /// Whether rows may have no value.
    pub(super) optional: bool,
}

impl PageDecoder {
    /// The values of a dictionary, and a null where rows may have none of them.
    pub(super) fn dictionary(&self, page: Option<Page>) -> Result<ArrayRef> {
        let Some(Page::DictionaryPage {
            buf, num_values, ..
        }) = page
        else {
            return Err(damaged("a dictionary is expected"));
        };
        let count = usize::try_from(num_values)?;
        let values = values::decode(&buf, Encoding::PLAIN, count, &self.data_type)?;
        if !self.optional {
            return Ok(values);
        }
        Ok(concat(&[&values, &new_null_array(values.data_type(), 1)])?)
    }

    /// A page of so many rows, given the dictionary of the chunk, if there is one.
    ///
    /// # Errors
    ///
    /// If the page is damaged.
    pub(super) fn page(
        &self,
        page: Page,
        rows: usize,
        dictionary: Option<&ArrayRef>,
    ) -> Result<PageContent> {
        let (bytes, count, encoding, levels) = match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                ..
            } => {
                let (levels, bytes) = if self.optional {
                    let (length, behind) = buf.split_first_chunk().ok_or_else(page_too_short)?;
                    let length = usize::try_from(u32::from_le_bytes(*length))?;
                    if length > behind.len() {
                        return Err(page_too_short());
                    }
                    (Some(buf.slice(4..4 + length)), buf.slice(4 + length..))
                } else {
                    (None, buf)
                };
                (bytes, num_values, encoding, levels)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let from = usize::try_from(rep_levels_byte_len)?;
                let to = from.saturating_add(usize::try_from(def_levels_byte_len)?);
                if to > buf.len() {
                    return Err(page_too_short());
                }
                let levels = self.optional.then(|| buf.slice(from..to));
                (buf.slice(to..), num_values, encoding, levels)
            }
            Page::DictionaryPage { .. } => return Err(damaged("a second dictionary")),
        };
        if usize::try_from(count)? != rows {
            return Err(damaged(
                "a page has another number of rows than its index says",
            ));
        }
        let levels_bytes = levels.as_ref().map_or(0, Bytes::len);
        let present = levels.map(|levels| Hybrid::new(levels, 1)).transpose()?;
        if !matches!(
            encoding,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY
        ) {
            return own_values(self.plain(&bytes, encoding, rows, present)?);
        }
        let missing = || damaged("a dictionary is missing");
        let values = Arc::clone(dictionary.ok_or_else(missing)?);
        let codes = match bytes.split_first() {
            Some((width, _)) => Hybrid::new(bytes.slice(1..), u32::from(*width))?,
            // No row has a value.
            None => Hybrid::constant(0),
        };
        Ok(PageContent {
            values,
            codes: PageCodes::Coded { codes, present },
            is_own: false,
            bytes: bytes.len() + levels_bytes,
            peaks: Arc::default(),
        })
    }

    /// The value of each row of a page.
    fn plain(
        &self,
        bytes: &Bytes,
        encoding: Encoding,
        rows: usize,
        present: Option<Hybrid>,
    ) -> Result<ArrayRef> {
        let decode = |count| {
            if encoding == Encoding::RLE {
                return booleans(bytes, count);
            }
            values::decode(bytes, encoding, count, &self.data_type)
        };
        let Some(mut present) = present else {
            return decode(rows);
        };
        let mut levels = vec![0_u32; rows];
        present.read(&mut levels)?;
        let count = levels.iter().filter(|level| **level != 0).count();
        let values = decode(count)?;
        if count == rows {
            return Ok(values);
        }
        let mut next = 0_u32;
        let places = levels.into_iter().map(|level| {
            let place = (level != 0).then_some(next);
            next += u32::from(level != 0);
            place
        });
        Ok(take(&values, &places.collect::<UInt32Array>(), None)?)
    }
}

/// A page of values of its own. Ids of traces repeat and are long, so they get codes here.
fn own_values(values: ArrayRef) -> Result<PageContent> {
    let runs = values.as_fixed_size_binary_opt().and_then(values::runs);
    let Some((distinct, places)) = runs else {
        return Ok(PageContent {
            bytes: values.get_buffer_memory_size(),
            values,
            codes: PageCodes::Place,
            is_own: true,
            peaks: Arc::default(),
        });
    };
    let width = width_of(places.last().copied().unwrap_or_default());
    let mut codes = Vec::new();
    encode(&places, width, &mut codes);
    codes.shrink_to_fit();
    Ok(PageContent {
        bytes: distinct.get_buffer_memory_size() + codes.len(),
        values: distinct,
        codes: PageCodes::Coded {
            codes: Hybrid::new(codes.into(), u32::from(width))?,
            present: None,
        },
        is_own: true,
        peaks: Arc::default(),
    })
}

/// Booleans as runs, behind their length in bytes.
fn booleans(bytes: &Bytes, count: usize) -> Result<ArrayRef> {
    let from = bytes.len().min(4);
    let mut bits = vec![0_u32; count];
    Hybrid::new(bytes.slice(from..), 1)?.read(&mut bits)?;
    let bits = bits.into_iter().map(|bit| Some(bit != 0));
    Ok(Arc::new(bits.collect::<arrow::array::BooleanArray>()))
}

fn page_too_short() -> ParquetError {
    ParquetError::EOF("a page ends inside its definition levels".to_owned())
}
