//! Values as Parquet stores them, to Arrow arrays.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    StringArray, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::errors::{ParquetError, Result};

/// Types of values that can be decoded, by what Parquet and Arrow call them.
pub(super) fn is_known(physical: Type, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int64 => physical == Type::INT64,
        DataType::Int32 | DataType::UInt32 => physical == Type::INT32,
        DataType::Float64 => physical == Type::DOUBLE,
        DataType::Boolean => physical == Type::BOOLEAN,
        DataType::Utf8 => physical == Type::BYTE_ARRAY,
        DataType::FixedSizeBinary(_) => physical == Type::FIXED_LEN_BYTE_ARRAY,
        DataType::Dictionary(codes, values) => {
            **codes == DataType::Int32 && is_known(physical, values) && **values == DataType::Utf8
        }
        _ => false,
    }
}

/// Decodes so many values. Dictionaries come as their values.
pub(super) fn decode(
    bytes: &Bytes,
    encoding: Encoding,
    count: usize,
    data_type: &DataType,
) -> Result<ArrayRef> {
    match (encoding, data_type) {
        (Encoding::PLAIN, DataType::Int64) => {
            let values = fixed(bytes, count)?.iter().copied().map(i64::from_le_bytes);
            Ok(Arc::new(Int64Array::from_iter_values(values)))
        }
        (Encoding::PLAIN, DataType::Float64) => {
            let values = fixed(bytes, count)?.iter().copied().map(f64::from_le_bytes);
            Ok(Arc::new(Float64Array::from_iter_values(values)))
        }
        (Encoding::PLAIN, DataType::Int32) => {
            let values = fixed(bytes, count)?.iter().copied().map(i32::from_le_bytes);
            Ok(Arc::new(Int32Array::from_iter_values(values)))
        }
        (Encoding::PLAIN, DataType::UInt32) => {
            let values = fixed(bytes, count)?.iter().copied().map(u32::from_le_bytes);
            Ok(Arc::new(UInt32Array::from_iter_values(values)))
        }
        (Encoding::PLAIN, DataType::Boolean) => {
            if bytes.len() < count.div_ceil(8) {
                return Err(too_short());
            }
            let bits = BooleanBuffer::new(Buffer::from(bytes.clone()), 0, count);
            Ok(Arc::new(BooleanArray::new(bits, None)))
        }
        (Encoding::PLAIN, DataType::Utf8) => texts(bytes, count),
        (Encoding::PLAIN, DataType::FixedSizeBinary(length)) => ids(bytes, count, *length),
        (_, DataType::Dictionary(_, values)) => decode(bytes, encoding, count, values),
        (Encoding::BYTE_STREAM_SPLIT, DataType::Int64) => {
            let words = joined::<8>(bytes, count)?;
            // In the same memory.
            let values: Vec<i64> = words.into_iter().map(u64::cast_signed).collect();
            Ok(Arc::new(Int64Array::new(values.into(), None)))
        }
        (Encoding::BYTE_STREAM_SPLIT, DataType::Float64) => {
            let words = joined::<8>(bytes, count)?;
            let values: Vec<f64> = words.into_iter().map(f64::from_bits).collect();
            Ok(Arc::new(Float64Array::new(values.into(), None)))
        }
        (Encoding::BYTE_STREAM_SPLIT, DataType::Int32 | DataType::UInt32) => {
            let words = joined::<4>(bytes, count)?;
            let low = words
                .into_iter()
                .map(|word| u32::try_from(word).unwrap_or(u32::MAX));
            Ok(if *data_type == DataType::Int32 {
                Arc::new(Int32Array::from_iter_values(low.map(u32::cast_signed)))
            } else {
                Arc::new(UInt32Array::from_iter_values(low))
            })
        }
        _ => Err(ParquetError::NYI(format!("{encoding} of {data_type}"))),
    }
}

fn too_short() -> ParquetError {
    ParquetError::EOF("a page has fewer values than it says".to_owned())
}

/// The bytes of so many values of one length.
fn fixed<const LENGTH: usize>(bytes: &[u8], count: usize) -> Result<&[[u8; LENGTH]]> {
    bytes.as_chunks().0.get(..count).ok_or_else(too_short)
}

/// Byte planes to words: byte `p` of word `i` is byte `i` of plane `p`.
fn joined<const PLANES: usize>(bytes: &[u8], count: usize) -> Result<Vec<u64>> {
    /// Words that are put together at once: few enough to stay in the nearest cache.
    const WORDS: usize = 1024;
    let length = count.checked_mul(PLANES).ok_or_else(too_short)?;
    let bytes = bytes.get(..length).ok_or_else(too_short)?;
    let mut planes: Vec<&[u8]> = bytes.chunks_exact(count.max(1)).collect();
    // The high bytes of numbers are mostly zero everywhere.
    while planes
        .pop_if(|plane| plane.iter().all(|byte| *byte == 0))
        .is_some()
    {}
    // First to pairs of bytes, then to words, which is less to move than byte by byte.
    let zeros = [0; WORDS];
    let mut pairs = [[0_u16; WORDS]; 4];
    let mut words = vec![0_u64; count];
    for (chunk, words) in words.chunks_mut(WORDS).enumerate() {
        let from = chunk * WORDS;
        let to = from + words.len();
        for (pairs, planes) in pairs.iter_mut().zip(planes.chunks(2)) {
            let low = planes.first().map_or(&zeros[..], |plane| &plane[from..to]);
            let high = planes.get(1).map_or(&zeros[..], |plane| &plane[from..to]);
            for (pair, (low, high)) in pairs.iter_mut().zip(low.iter().zip(high)) {
                *pair = u16::from(*low) | u16::from(*high) << 8;
            }
        }
        let [first, second, third, fourth] = &pairs;
        for (at, word) in words.iter_mut().enumerate() {
            let low = u64::from(first[at]) | u64::from(second[at]) << 16;
            *word = low | u64::from(third[at]) << 32 | u64::from(fourth[at]) << 48;
        }
    }
    Ok(words)
}

/// Ids of so many bytes each.
fn ids(bytes: &Bytes, count: usize, length: i32) -> Result<ArrayRef> {
    let total = usize::try_from(length)?.checked_mul(count);
    let total = total.filter(|total| *total <= bytes.len());
    let bytes = bytes.slice(..total.ok_or_else(too_short)?);
    Ok(Arc::new(FixedSizeBinaryArray::try_new(
        length,
        bytes.into(),
        None,
    )?))
}

/// Values of which neighbours are equal: each such run once, and the place of each row's among them.
/// `None` unless there are half as many runs as rows at most.
pub(super) fn runs(values: &FixedSizeBinaryArray) -> Option<(ArrayRef, Vec<u32>)> {
    let length = usize::try_from(values.value_length()).ok()?;
    if values.is_nullable() || length == 0 {
        return None;
    }
    let most = values.value_data().len() / 2;
    let mut distinct: Vec<u8> = Vec::new();
    let mut places = Vec::with_capacity(values.len());
    let mut place = 0;
    for value in values.value_data().chunks_exact(length) {
        if !distinct.ends_with(value) {
            place = u32::try_from(distinct.len() / length).ok()?;
            distinct.extend_from_slice(value);
            if distinct.len() > most {
                return None;
            }
        }
        places.push(place);
    }
    let distinct =
        FixedSizeBinaryArray::try_new(values.value_length(), distinct.into(), None).ok()?;
    Some((Arc::new(distinct), places))
}

/// Texts with their lengths in front.
fn texts(bytes: &[u8], count: usize) -> Result<ArrayRef> {
    // Each has a length in front, so that a damaged count cannot ask for more memory than there is.
    if count > bytes.len() / 4 {
        return Err(too_short());
    }
    let mut rest = bytes;
    let mut offsets = Vec::with_capacity(count + 1);
    let mut texts = Vec::with_capacity(bytes.len().saturating_sub(4 * count));
    offsets.push(0_i32);
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk().ok_or_else(too_short)?;
        let length = usize::try_from(u32::from_le_bytes(*length))?;
        let (text, behind) = behind.split_at_checked(length).ok_or_else(too_short)?;
        texts.extend_from_slice(text);
        offsets.push(i32::try_from(texts.len())?);
        rest = behind;
    }
    let offsets = OffsetBuffer::new(offsets.into());
    let array = StringArray::try_new(offsets, texts.into(), None)?;
    Ok(Arc::new(array))
}
