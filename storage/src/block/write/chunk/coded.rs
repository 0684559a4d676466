//! Dictionary-coded column chunks whose codes do not straddle bytes.
//!
//! Parquet leaves the width of codes to the writer. Codes packed into as few bits as they need are
//! short, but the same sequence of values is another sequence of bytes wherever it starts at another
//! bit, and the compressor, for which traces of one kind are a gift, finds next to nothing. Codes of
//! 1, 2, 4, 8, 16 … bits are longer before compression and much shorter after it. Besides, what Arrow
//! has coded is not looked up again, value by value.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt32Type};
use hashbrown::HashMap;
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use super::presence::{Presence, present};
use super::value::{ColumnValue, Float, WithStatistics};
use super::writer::{ChunkOptions, ChunkWriter, OwnChunk};
use crate::block::hybrid;
use crate::block::write::row_number::row_number;

/// Longest dictionary in bytes. A long one that many rows share is still the shortest form.
const LONGEST_DICTIONARY: usize = 16 << 20;
/// Up to this many distinct values a dictionary always pays; above, if values repeat enough.
const FEW_VALUES: usize = 1024;
/// Rows per distinct value, on the average, below which a dictionary does not pay.
const REPEATS: usize = 4;

/// Writes a flat column of one row group, given as slices. `None` where a dictionary is not the form
/// for it: other types, no values at all, or values that hardly repeat.
pub(in crate::block::write) fn dictionary(
    slices: &[ArrayRef],
    column: &ColumnDescPtr,
    options: ChunkOptions,
) -> Result<Option<OwnChunk>, ParquetError> {
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

/// A column as codes and what they mean.
struct CodedColumn<T> {
    /// The code of each value that is not null, in row order.
    codes: Vec<u32>,
    presence: Presence,
    /// The values, by code.
    items: Vec<T>,
}

impl<T: ColumnValue> CodedColumn<T> {
    fn new(slices: &[ArrayRef]) -> Self {
        let presence = Presence::new(slices);
        Self {
            codes: Vec::with_capacity(presence.value_count),
            presence,
            items: Vec::new(),
        }
    }

    /// Whether a dictionary is shorter than the values as they are.
    fn pays(&self) -> bool {
        !self.items.is_empty()
            && (self.items.len() <= FEW_VALUES || self.items.len() <= self.codes.len() / REPEATS)
    }
}

/// Gives values codes in the order of first appearance.
struct ValueCodes<T>(HashMap<T, u32>);

impl<T: ColumnValue> ValueCodes<T> {
    fn code(&mut self, item: T, items: &mut Vec<T>) -> u32 {
        *self.0.entry(item).or_insert_with(|| {
            items.push(item);
            row_number(items.len() - 1)
        })
    }
}

fn primitives<P: ArrowPrimitiveType, T: ColumnValue>(
    slices: &[ArrayRef],
    item: fn(P::Native) -> T,
) -> Option<CodedColumn<T>> {
    let mut out = CodedColumn::new(slices);
    let mut codes = ValueCodes(HashMap::new());
    let mut last: Option<(T, u32)> = None;
    for slice in slices {
        let array: &PrimitiveArray<P> = slice.as_primitive_opt()?;
        for value in present(array) {
            let value = item(value);
            let code = match last {
                Some((last, code)) if last == value => code,
                _ => codes.code(value, &mut out.items),
            };
            last = Some((value, code));
            out.codes.push(code);
        }
        // Enough seen to know.
        if out.codes.len() > 65_536 && !out.pays() {
            return None;
        }
    }
    Some(out)
}

fn texts(slices: &[ArrayRef]) -> Option<CodedColumn<&str>> {
    let mut out = CodedColumn::new(slices);
    let mut codes = ValueCodes(HashMap::new());
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
        for key in present(array.keys()) {
            let key = usize::try_from(key).ok()?;
            let slot = known.get_mut(key)?;
            let code = *slot.get_or_insert_with(|| codes.code(texts.value(key), &mut out.items));
            out.codes.push(code);
        }
    }
    Some(out)
}

fn chunk<T: WithStatistics>(
    coded: Option<CodedColumn<T>>,
    column: &ColumnDescPtr,
    options: ChunkOptions,
) -> Result<Option<OwnChunk>, ParquetError> {
    let Some(coded) = coded.filter(CodedColumn::pays) else {
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
    let mut out = ChunkWriter::new(column, Encoding::RLE_DICTIONARY, options)?;
    out.dictionary(&dictionary, coded.items.len())?;
    let ranks = Ranks::new(&coded.items);
    let mut whole = Extent::default();
    for page in coded.presence.pages(options.page_rows) {
        let codes = &coded.codes[page.values.clone()];
        let extent = ranks.extent(codes);
        out.page(&page, ranks.items(&coded.items, extent), |raw| {
            let width = hybrid::width_of(codes.iter().copied().max().unwrap_or(0));
            raw.bytes.push(width);
            hybrid::encode(codes, width, &mut raw.bytes);
        })?;
        whole = whole.and(extent);
    }
    let bounds = ranks.items(&coded.items, whole);
    out.finish(&coded.presence, bounds).map(Some)
}

/// The order of a dictionary's values.
struct Ranks {
    /// The rank of each code; [`NO_RANK`] for values without an order.
    of_code: Vec<u32>,
    /// Codes in the order of their values.
    codes: Vec<u32>,
}

/// More than any rank.
const NO_RANK: u32 = u32::MAX;

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
    fn new<T: ColumnValue>(items: &[T]) -> Self {
        let mut codes: Vec<u32> = (0..row_number(items.len()))
            .filter(|code| items[*code as usize].key().is_some())
            .collect();
        codes.sort_unstable_by(|a, b| items[*a as usize].key().cmp(&items[*b as usize].key()));
        let mut of_code = vec![NO_RANK; items.len()];
        for (rank, code) in (0u32..).zip(&codes) {
            of_code[*code as usize] = rank;
        }
        Self { of_code, codes }
    }

    fn extent(&self, codes: &[u32]) -> Extent {
        // One more than the last rank, so that what has none is before all.
        let (first, behind_last) = codes.iter().fold((NO_RANK, 0), |(first, behind), code| {
            let rank = self.of_code[*code as usize];
            (first.min(rank), behind.max(rank.wrapping_add(1)))
        });
        Extent(behind_last.checked_sub(1).map(|last| (first, last)))
    }

    fn items<T: ColumnValue>(&self, items: &[T], extent: Extent) -> Option<(T, T)> {
        let item = |rank: u32| items[self.codes[rank as usize] as usize];
        extent.0.map(|(min, max)| (item(min), item(max)))
    }
}
