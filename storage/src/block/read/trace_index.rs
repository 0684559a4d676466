//! Which rows of a row group are of which trace, by its column of trace ids.
//!
//! A trace is a run of rows. So a page has each id but once, and most questions need no rows at all.

use std::ops::Range;

use arrow::array::{Array as _, ArrayRef, AsArray as _, FixedSizeBinaryArray};
use arrow::datatypes::DataType;

use crate::block::meta::BlockMeta;
use crate::block::read::encoded::EncodedColumn;
use crate::block::read::file::BlockFile;
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::schema::names;

/// The column of trace ids of a row group.
pub(crate) struct TraceIndex {
    ids: EncodedColumn,
    rows: usize,
}

impl TraceIndex {
    /// Opens the column.
    ///
    /// # Errors
    ///
    /// If the store fails, or the block is damaged.
    pub(crate) async fn open(file: &mut BlockFile, row_group: usize) -> Result<Self, StorageError> {
        let footer = file.footer().await?;
        let leaf = footer.leaf(names::TRACE_ID);
        let leaf = leaf.ok_or_else(|| no_ids(file.meta()))?;
        let column = [(leaf, DataType::FixedSizeBinary(16))];
        let opened = EncodedColumn::open(file, row_group, &column).await?.pop();
        let rows = footer.metadata().row_group(row_group).num_rows();
        Ok(Self {
            ids: opened.ok_or_else(|| no_ids(file.meta()))?,
            rows: usize::try_from(rows).unwrap_or_default(),
        })
    }

    /// Hands over each trace and its rows, in order.
    ///
    /// # Errors
    ///
    /// If the column is damaged.
    pub(crate) fn each(
        mut self,
        mut act: impl FnMut(TraceId, Range<usize>),
    ) -> Result<(), StorageError> {
        let mut trace: Option<(TraceId, usize)> = None;
        let mut row = 0;
        let mut codes = Vec::new();
        while row < self.rows {
            self.ids.seek(row)?;
            self.read_page(row, &mut codes)?;
            let mut last = None;
            for &code in &codes {
                if last != Some(code) {
                    last = Some(code);
                    let id = id(self.ids.values().as_fixed_size_binary(), code);
                    match trace {
                        Some((of, _)) if of == id => {}
                        Some((of, from)) => {
                            act(of, from..row);
                            trace = Some((id, row));
                        }
                        None => trace = Some((id, row)),
                    }
                }
                row += 1;
            }
        }
        if let Some((id, from)) = trace {
            act(id, from..row);
        }
        Ok(())
    }

    /// The rows of one trace; `None` if it has none.
    ///
    /// # Errors
    ///
    /// If the column is damaged.
    pub(super) fn find(mut self, wanted: TraceId) -> Result<Option<Range<usize>>, StorageError> {
        let mut found: Option<Range<usize>> = None;
        let mut row = 0;
        let mut codes = Vec::new();
        while row < self.rows {
            self.ids.seek(row)?;
            let page_end = self.ids.page_end(row);
            let mut ids = self
                .ids
                .values()
                .as_fixed_size_binary()
                .value_data()
                .chunks_exact(16);
            if ids.any(|id| id == wanted.0) {
                self.read_page(row, &mut codes)?;
                let ids = self.ids.values().as_fixed_size_binary();
                let of_trace = |code: &u32| id(ids, *code) == wanted;
                let before = codes.iter().position(of_trace).unwrap_or(codes.len());
                let count = codes[before..]
                    .iter()
                    .take_while(|code| of_trace(code))
                    .count();
                let from = found.map_or(row + before, |found| found.start);
                found = Some(from..row + before + count);
            }
            if found.as_ref().is_some_and(|found| found.end < page_end) {
                break;
            }
            row = page_end;
        }
        Ok(found)
    }

    /// The codes of the page that begins with this row, and where the column is.
    fn read_page(&mut self, row: usize, codes: &mut Vec<u32>) -> Result<(), StorageError> {
        codes.clear();
        codes.resize(self.ids.page_end(row) - row, 0);
        self.ids.read(codes)
    }
}

fn id(ids: &FixedSizeBinaryArray, code: u32) -> TraceId {
    trace_id(ids.value(usize::try_from(code).unwrap_or(usize::MAX)))
}

/// The trace ids of a batch, by its column of them.
///
/// # Errors
///
/// If the column is missing or of another type.
pub(super) fn trace_ids<'a>(
    column: Option<&'a ArrayRef>,
    meta: &BlockMeta,
) -> Result<&'a FixedSizeBinaryArray, StorageError> {
    column
        .and_then(|column| column.as_any().downcast_ref::<FixedSizeBinaryArray>())
        .filter(|column| column.value_length() == 16)
        .ok_or_else(|| no_ids(meta))
}

/// The id that the 16 bytes of a value are.
pub(super) fn trace_id(bytes: &[u8]) -> TraceId {
    let mut id = TraceId([0; 16]);
    id.0.copy_from_slice(bytes);
    id
}

/// The error of a block without a proper column of trace ids.
pub(super) fn no_ids(meta: &BlockMeta) -> StorageError {
    StorageError::malformed(&meta.block_id.to_string(), names::TRACE_ID)
}
