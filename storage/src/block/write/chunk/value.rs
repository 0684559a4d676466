//! Values of columns, as Parquet stores and orders them.

use std::hash::Hash;

use parquet::data_type::{AsBytes, ByteArray};
use parquet::file::statistics::{Statistics, ValueStatistics};

/// Text longer than this is cut in statistics, which no query needs in full.
pub(in crate::block::write) const STATISTICS_BYTES: usize = 64;

/// A value of a column.
pub(super) trait ColumnValue: Copy + Eq + Hash {
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
        impl ColumnValue for $type {
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
pub(super) struct Float(pub(super) f64);

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

impl ColumnValue for Float {
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

impl ColumnValue for &str {
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

/// Values that a column's statistics can speak of.
pub(super) trait WithStatistics: ColumnValue {
    /// Statistics of a column of these values.
    fn statistics(statistics: ValueStatistics<Self::Bound>) -> Statistics;
}

impl<T: ColumnValue> WithStatistics for T
where
    Statistics: From<ValueStatistics<T::Bound>>,
{
    fn statistics(statistics: ValueStatistics<T::Bound>) -> Statistics {
        statistics.into()
    }
}
