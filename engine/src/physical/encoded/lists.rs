//! Attributes without a column, beside columns that are read encoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::internal_err;
use datafusion::error::Result;
use hashbrown::HashMap;
use storage::block::{BlockFile, ColumnBatches};

use super::plan::EncodedColumns;
use super::window::external;
use crate::batch::named;
use crate::compare::columns::ResidualColumn;

/// Rows of lists that are read together.
const LIST_ROWS: usize = 1 << 15;

/// A column of lists of attributes.
#[derive(Debug)]
pub(super) struct Residual {
    pub(super) column: Arc<ResidualColumn>,
    /// Which of the compared columns may have the value of a key instead.
    pub(super) shadows: HashMap<Arc<str>, Vec<usize>>,
}

impl Residual {
    /// `None` if a column that may shadow a key is not among those that are read.
    pub(super) fn new(column: &Arc<ResidualColumn>, columns: &EncodedColumns) -> Option<Self> {
        let mut shadows = HashMap::new();
        for (key, names) in &column.shadows {
            let places = names
                .iter()
                .map(|name| columns.names.iter().position(|n| **n == **name));
            shadows.insert(Arc::clone(key), places.collect::<Option<_>>()?);
        }
        Some(Self {
            column: Arc::clone(column),
            shadows,
        })
    }
}

/// The lists of a row group, a batch of rows at a time.
pub(super) struct Lists {
    batches: Option<ColumnBatches>,
    batch: Option<RecordBatch>,
    /// The rows of the batch.
    rows: Range<usize>,
}

impl Lists {
    /// The lists of a row group, from the first row on.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(super) async fn open(
        file: &BlockFile,
        row_group: usize,
        residuals: &[Residual],
    ) -> Result<Self> {
        let names: Vec<&str> = residuals
            .iter()
            .map(|residual| residual.column.name)
            .collect();
        let batches = if names.is_empty() {
            None
        } else {
            let batches = ColumnBatches::open(file, row_group, &names, LIST_ROWS).await;
            Some(batches.map_err(external)?)
        };
        let mut lists = Self {
            batches,
            batch: None,
            rows: 0..0,
        };
        lists.go_to(0).await?;
        Ok(lists)
    }

    /// Goes forwards to the batch of a row.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(super) async fn go_to(&mut self, row: usize) -> Result<()> {
        let Some(batches) = &mut self.batches else {
            return Ok(());
        };
        while row >= self.rows.end {
            let Some(batch) = batches.next().await.map_err(external)? else {
                return internal_err!("a column of lists has too few rows");
            };
            self.rows = self.rows.end..self.rows.end + batch.num_rows();
            self.batch = Some(batch);
        }
        Ok(())
    }

    /// The row that the batch has no more.
    pub(super) fn end(&self) -> Option<usize> {
        self.batch.as_ref().map(|_| self.rows.end)
    }

    /// Some rows of a column, all of the batch.
    ///
    /// # Errors
    /// If the batch does not have the column.
    pub(super) fn of(&self, name: &str, rows: &Range<usize>) -> Result<ArrayRef> {
        let Some(batch) = &self.batch else {
            return internal_err!("lists that were not read");
        };
        let from = rows.start.saturating_sub(self.rows.start);
        Ok(named(batch, name)?.slice(from, rows.len()))
    }
}
