//! Dictionary-coded column chunks whose codes do not straddle bytes.
//!
//! Parquet leaves the width of codes to the writer. Codes packed into as few bits as they need are
//! short, but the same sequence of values is another sequence of bytes wherever it starts at another
//! bit, and the compressor, for which traces of one kind are a gift, finds next to nothing. Codes of
//! 1, 2, 4, 8, 16 … bits are longer before compression and much shorter after it. Besides, what Arrow
//! has coded is not looked up again, value by value.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt32Type};
use bytes::Bytes;
use hashbrown::HashMap;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{AsBytes, ByteArray};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::hybrid;

/// Longest dictionary in bytes. A long one that many rows share is still the shortest form.
const LONGEST_DICTIONARY: usize = 16 << 20;
/// Up to this many distinct values a dictionary always pays; above, if values repeat enough.
const FEW_VALUES: usize = 1024;
/// Rows per distinct value, on the average, below which a dictionary does not pay.
const REPEATS: usize = 4;
/// Text longer than this is cut in statistics, which no query needs in full.
pub(super) const STATISTICS_BYTES: usize = 64;

/// A column chunk as it goes into the file.
pub(super) struct CodedChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// How chunks are cut and compressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkOptions {
    pub(super) page_rows: usize,
    pub(super) zstd: ZstdLevel,
}

/// Writes a flat column of one row group, given as slices. `None` where a dictionary is not the form
/// for it: other types, no values at all, or values that hardly repeat.
pub(super) fn encode(
    slices: &[ArrayRef],
    column: &ColumnDescPtr,
    options: ChunkOptions,
) -> Result<Option<CodedChunk>, ParquetError> {
    let Some(first) = slices.first() else {
        return Ok(None);
    };
    match first.data_type() {
        DataType::Int32 => chunk(primitives::<Int32Type, _>(slices, |v| v), column, options),
        DataType::UInt32 => chunk(primitives::<UInt32Type, _>(slices, |v| v), column, options),
        DataType::Int64 => chunk(primitives::<Int64Type, _>(slices, |v| v), column, options),
        DataType::Float64 => chunk(primitives::<Float64Type, _>(slices, Float), column, options),
        DataType::Dictionary(_, _) => chunk(texts(slices), column, options),
        _ => Ok(None),
    }
}

/// A value that a dictionary can hold.
trait Item: Copy + Eq + Hash {
    /// What statistics say of the column.
    type Bound: Clone + AsBytes;
    /// Appends the value in Parquet's plain encoding.
    fn plain(self, out: &mut Vec<u8>);
    /// Order of the column; `None` for what has no place in it.
    fn key(self) -> Option<impl Ord>;
    /// A lower bound, and whether it is the value itself.
    fn lower(self) -> (Self::Bound, bool);
    /// An upper bound, and whether it is the value itself.
    fn upper(self) -> (Self::Bound, bool);
}

macro_rules! integer {
    ($type:ty, $bound:ty, $convert:expr) => {
        impl Item for $type {
            type Bound = $bound;

            fn plain(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn key(self) -> Option<impl Ord> {
                Some(self)
            }

            fn lower(self) -> ($bound, bool) {
                ($convert(self), true)
            }

            fn upper(self) -> ($bound, bool) {
                ($convert(self), true)
            }
        }
    };
}

integer!(i32, i32, std::convert::identity);
integer!(i64, i64, std::convert::identity);
integer!(u32, i32, u32::cast_signed);

/// A 64-bit float that is equal to itself only.
#[derive(Debug, Clone, Copy)]
struct Float(f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl Hash for Float {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Item for Float {
    type Bound = f64;

    fn plain(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn key(self) -> Option<impl Ord> {
        // The bits in the order of the numbers: those of negative ones run backwards.
        let bits = self.0.to_bits().cast_signed();
        let order = if bits < 0 { bits ^ i64::MAX } else { bits };
        (!self.0.is_nan()).then_some(order)
    }

    fn lower(self) -> (f64, bool) {
        // Readers may take one zero for the other.
        (if self.0 == 0.0 { -0.0 } else { self.0 }, true)
    }

    fn upper(self) -> (f64, bool) {
        (if self.0 == 0.0 { 0.0 } else { self.0 }, true)
    }
}

impl Item for &str {
    type Bound = ByteArray;

    fn plain(self, out: &mut Vec<u8>) {
        // Texts of a column together have less than 2 GiB.
        let len = u32::try_from(self.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(self.as_bytes());
    }

    fn key(self) -> Option<impl Ord> {
        Some(self)
    }

    fn lower(self) -> (ByteArray, bool) {
        let cut = &self[..self.floor_char_boundary(STATISTICS_BYTES)];
        (ByteArray::from(cut), cut.len() == self.len())
    }

    fn upper(self) -> (ByteArray, bool) {
        let cut = &self[..self.floor_char_boundary(STATISTICS_BYTES)];
        if cut.len() < self.len() {
            // The first text after all that start like this, as far as characters of one length go.
            for (at, last) in cut.char_indices().rev() {
                let next = char::from_u32(u32::from(last) + 1);
                if let Some(next) = next.filter(|next| next.len_utf8() == last.len_utf8()) {
                    let bound = format!("{}{next}", &cut[..at]);
                    return (ByteArray::from(bound.as_str()), false);
                }
            }
        }
        (ByteArray::from(self), true)
    }
}

/// A column as codes and what they mean.
struct Coded<T> {
    /// One per value that is not null, in row order.
    codes: Vec<u32>,
    /// One per row; `None` if no row is null.
    valid: Option<Vec<bool>>,
    row_count: usize,
    /// By code.
    items: Vec<T>,
}

impl<T: Item> Coded<T> {
    fn new(slices: &[ArrayRef]) -> Self {
        let row_count = slices.iter().map(|slice| slice.len()).sum();
        let nulls: usize = slices.iter().map(|slice| slice.null_count()).sum();
        let valid = (nulls > 0).then(|| {
            let of_slice = |slice: &ArrayRef| match slice.nulls() {
                Some(nulls) => nulls.iter().collect(),
                None => vec![true; slice.len()],
            };
            slices.iter().flat_map(of_slice).collect()
        });
        Self {
            codes: Vec::with_capacity(row_count - nulls),
            valid,
            row_count,
            items: Vec::new(),
        }
    }

    /// Whether a dictionary is shorter than the values as they are.
    fn pays(&self) -> bool {
        !self.items.is_empty()
            && (self.items.len() <= FEW_VALUES || self.items.len() <= self.codes.len() / REPEATS)
    }
}

/// Gives items codes in the order of first appearance.
struct Codes<T>(HashMap<T, u32>);

impl<T: Item> Codes<T> {
    fn code(&mut self, item: T, items: &mut Vec<T>) -> u32 {
        *self.0.entry(item).or_insert_with(|| {
            items.push(item);
            code(items.len() - 1)
        })
    }
}

/// A row group has fewer rows than there are codes.
fn code(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn primitives<P: ArrowPrimitiveType, T: Item>(
    slices: &[ArrayRef],
    item: fn(P::Native) -> T,
) -> Option<Coded<T>> {
    let mut out = Coded::new(slices);
    let mut codes = Codes(HashMap::new());
    let mut last: Option<(T, u32)> = None;
    for slice in slices {
        let array: &PrimitiveArray<P> = slice.as_primitive_opt()?;
        let mut push = |value: P::Native| {
            let value = item(value);
            let code = match last {
                Some((last, code)) if last == value => code,
                _ => codes.code(value, &mut out.items),
            };
            last = Some((value, code));
            out.codes.push(code);
        };
        match array.nulls() {
            None => array.values().iter().for_each(|value| push(*value)),
            Some(_) => array.iter().flatten().for_each(push),
        }
        // Enough seen to know.
        if out.codes.len() > 65_536 && !out.pays() {
            return None;
        }
    }
    Some(out)
}

fn texts(slices: &[ArrayRef]) -> Option<Coded<&str>> {
    let mut out = Coded::new(slices);
    let mut codes = Codes(HashMap::new());
    // Codes here by keys there; slices of one array share its dictionary.
    let mut known: Vec<Option<u32>> = Vec::new();
    let mut known_of: Option<&StringArray> = None;
    for slice in slices {
        let array = slice.as_dictionary_opt::<Int32Type>()?;
        let texts: &StringArray = array.values().as_string_opt()?;
        let same = |other: &StringArray| other.to_data().ptr_eq(&texts.to_data());
        if !known_of.is_some_and(same) {
            known = vec![None; texts.len()];
            known_of = Some(texts);
        }
        for key in array.keys().iter().flatten() {
            let key = usize::try_from(key).ok()?;
            let slot = known.get_mut(key)?;
            let code = *slot.get_or_insert_with(|| codes.code(texts.value(key), &mut out.items));
            out.codes.push(code);
        }
    }
    Some(out)
}

fn chunk<T: Item>(
    coded: Option<Coded<T>>,
    column: &ColumnDescPtr,
    options: ChunkOptions,
) -> Result<Option<CodedChunk>, ParquetError>
where
    Statistics: From<ValueStatistics<T::Bound>>,
{
    let Some(coded) = coded.filter(Coded::pays) else {
        return Ok(None);
    };
    let mut dictionary = Vec::new();
    coded
        .items
        .iter()
        .for_each(|item| item.plain(&mut dictionary));
    if dictionary.len() > LONGEST_DICTIONARY {
        return Ok(None);
    }
    let mut out = ChunkWriter::new(column, options)?;
    out.dictionary(&dictionary, coded.items.len())?;
    let ranks = Ranks::new(&coded.items);
    let mut whole = Extent::default();
    let (mut codes, mut rows) = (&coded.codes[..], 0..0);
    while rows.end < coded.row_count {
        rows = rows.end..coded.row_count.min(rows.end + options.page_rows.max(1));
        let valid = coded.valid.as_ref().map(|valid| &valid[rows.clone()]);
        let count = valid.map_or(rows.len(), |valid| valid.iter().filter(|v| **v).count());
        let of_page;
        (of_page, codes) = codes.split_at(count);
        let extent = ranks.extent(of_page);
        out.page(of_page, valid, rows.len())?;
        let nulls = rows.len() - count;
        match ranks.items(&coded.items, extent) {
            Some((min, max)) => out.column_index.append(
                false,
                min.lower().0.as_bytes().to_vec(),
                max.upper().0.as_bytes().to_vec(),
                i64::try_from(nulls).unwrap_or(i64::MAX),
            ),
            None if count == 0 => out.column_index.append(
                true,
                Vec::new(),
                Vec::new(),
                i64::try_from(nulls).unwrap_or(i64::MAX),
            ),
            // Values, but none that has an order.
            None => out.column_index.to_invalid(),
        }
        whole = whole.and(extent);
    }
    let bounds = ranks.items(&coded.items, whole);
    let (min, max) = bounds.map(|(min, max)| (min.lower(), max.upper())).unzip();
    let nulls = (coded.row_count - coded.codes.len()) as u64;
    let exact = |bound: &Option<(T::Bound, bool)>| bound.as_ref().is_some_and(|bound| bound.1);
    let (min_exact, max_exact) = (exact(&min), exact(&max));
    let statistics =
        ValueStatistics::new(min.map(|b| b.0), max.map(|b| b.0), None, Some(nulls), false)
            .with_min_is_exact(min_exact)
            .with_max_is_exact(max_exact)
            .with_backwards_compatible_min_max(column.sort_order().is_signed());
    out.finish(coded.row_count, statistics.into()).map(Some)
}

/// The order of a dictionary's items.
struct Ranks {
    /// By code; `None` for items without an order.
    of_code: Vec<Option<u32>>,
    /// Codes in order.
    codes: Vec<u32>,
}

/// The first and the last in the order, as ranks.
#[derive(Debug, Clone, Copy, Default)]
struct Extent(Option<(u32, u32)>);

impl Extent {
    fn and(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Self(Some((a.min(c), b.max(d)))),
            (one, other) => Self(one.or(other)),
        }
    }
}

impl Ranks {
    fn new<T: Item>(items: &[T]) -> Self {
        let mut codes: Vec<u32> = (0..code(items.len()))
            .filter(|code| items[*code as usize].key().is_some())
            .collect();
        codes.sort_unstable_by(|a, b| items[*a as usize].key().cmp(&items[*b as usize].key()));
        let mut of_code = vec![None; items.len()];
        for (rank, code) in (0u32..).zip(&codes) {
            of_code[*code as usize] = Some(rank);
        }
        Self { of_code, codes }
    }

    fn extent(&self, codes: &[u32]) -> Extent {
        let ranks = || codes.iter().filter_map(|code| self.of_code[*code as usize]);
        Extent(ranks().min().zip(ranks().max()))
    }

    fn items<T: Item>(&self, items: &[T], extent: Extent) -> Option<(T, T)> {
        let item = |rank: u32| items[self.codes[rank as usize] as usize];
        extent.0.map(|(min, max)| (item(min), item(max)))
    }
}

/// Pages of one column chunk.
struct ChunkWriter<'a> {
    column: &'a ColumnDescPtr,
    options: ChunkOptions,
    compressor: zstd::bulk::Compressor<'static>,
    sink: TrackedWrite<Vec<u8>>,
    uncompressed_size: usize,
    data_page_offset: Option<u64>,
    page_count: i32,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    /// Kept for their memory.
    raw: Vec<u8>,
    levels: Vec<u32>,
}

impl<'a> ChunkWriter<'a> {
    fn new(column: &'a ColumnDescPtr, options: ChunkOptions) -> Result<Self, ParquetError> {
        Ok(Self {
            column,
            options,
            compressor: zstd::bulk::Compressor::new(options.zstd.compression_level())?,
            sink: TrackedWrite::new(Vec::new()),
            uncompressed_size: 0,
            data_page_offset: None,
            page_count: 0,
            column_index: ColumnIndexBuilder::new(column.physical_type()),
            offset_index: OffsetIndexBuilder::new(),
            raw: Vec::new(),
            levels: Vec::new(),
        })
    }

    fn write(&mut self, page: Page, raw_len: usize) -> Result<PageWriteSpec, ParquetError> {
        let page = CompressedPage::new(page, raw_len);
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.uncompressed_size += written.uncompressed_size;
        Ok(written)
    }

    fn dictionary(&mut self, raw: &[u8], item_count: usize) -> Result<(), ParquetError> {
        let page = Page::DictionaryPage {
            buf: self.compressor.compress(raw)?.into(),
            num_values: code(item_count),
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        self.write(page, raw.len())?;
        Ok(())
    }

    /// A page of `row_count` rows, of which `valid` have values.
    fn page(
        &mut self,
        codes: &[u32],
        valid: Option<&[bool]>,
        row_count: usize,
    ) -> Result<(), ParquetError> {
        self.raw.clear();
        if self.column.max_def_level() > 0 {
            self.levels.clear();
            match valid {
                Some(valid) => self.levels.extend(valid.iter().map(|v| u32::from(*v))),
                None => self.levels.resize(row_count, 1),
            }
            self.raw.extend_from_slice(&[0; 4]);
            hybrid::encode(&self.levels, 1, &mut self.raw);
            let len = code(self.raw.len() - 4);
            self.raw[..4].copy_from_slice(&len.to_le_bytes());
        }
        let width = hybrid::width_of(codes.iter().copied().max().unwrap_or(0));
        self.raw.push(width);
        hybrid::encode(codes, width, &mut self.raw);
        let page = Page::DataPage {
            buf: self.compressor.compress(&self.raw)?.into(),
            num_values: code(row_count),
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = self.write(page, self.raw.len())?;
        self.data_page_offset.get_or_insert(written.offset);
        self.page_count += 1;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let size = i32::try_from(written.compressed_size)
            .map_err(|_| ParquetError::General("a page beyond 2 GiB".to_owned()))?;
        self.offset_index.append_row_count(number(row_count as u64));
        self.offset_index
            .append_offset_and_size(number(written.offset), size);
        Ok(())
    }

    fn finish(self, row_count: usize, statistics: Statistics) -> Result<CodedChunk, ParquetError> {
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let bytes = Bytes::from(self.sink.into_inner()?);
        let data_page_offset = self.data_page_offset.unwrap_or(0);
        let stats = |page_type, encoding, count| PageEncodingStats {
            page_type,
            encoding,
            count,
        };
        let metadata = ColumnChunkMetaData::builder(Arc::clone(self.column))
            .set_compression(Compression::ZSTD(self.options.zstd))
            .set_encodings(vec![
                Encoding::PLAIN,
                Encoding::RLE,
                Encoding::RLE_DICTIONARY,
            ])
            .set_page_encoding_stats(vec![
                stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                stats(
                    PageType::DATA_PAGE,
                    Encoding::RLE_DICTIONARY,
                    self.page_count,
                ),
            ])
            .set_total_compressed_size(number(bytes.len()))
            .set_total_uncompressed_size(number(self.uncompressed_size))
            .set_num_values(number(row_count))
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(i64::try_from(data_page_offset).unwrap_or(i64::MAX))
            .set_statistics(statistics)
            .build()?;
        let column_index = if self.column_index.valid() {
            Some(self.column_index.build()?)
        } else {
            None
        };
        Ok(CodedChunk {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: row_count as u64,
                metadata,
                bloom_filter: None,
                column_index,
                offset_index: Some(self.offset_index.build()),
            },
            bytes,
        })
    }
}

#[cfg(test)]
#[path = "coded_tests.rs"]
mod tests;
