//! Cells as Arrow rows: how states leave an aggregation and enter a merge.
//!
//! A group's state is a list of rows, only of the intervals that have something in them: dense
//! vectors on the wire cost twenty times as much once memory is short.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Float64Builder, Int32Array, Int32Builder, ListArray,
    StructArray, UInt32Array, UInt32Builder, UInt64Array, UInt64Builder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::{DataFusionError, Result};

/// One row of a state: part of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct StateRow {
    /// The interval.
    pub(crate) interval: u32,
    /// Bucket within the cell; 0 for cells that are one row.
    pub(crate) key: i32,
    /// How many spans or values.
    pub(crate) count: u64,
    /// A value, or the higher part of a sum.
    pub(crate) high: f64,
    /// The lower part of a sum.
    pub(crate) low: f64,
}

/// The Arrow type of one group's state.
pub(crate) fn state_type() -> DataType {
    DataType::List(Arc::new(Field::new(
        "row",
        DataType::Struct(row_fields()),
        false,
    )))
}

fn row_fields() -> Fields {
    Fields::from(vec![
        Field::new("interval", DataType::UInt32, false),
        Field::new("key", DataType::Int32, false),
        Field::new("count", DataType::UInt64, false),
        Field::new("high", DataType::Float64, false),
        Field::new("low", DataType::Float64, false),
    ])
}

/// Builds a column of states, one list per group.
#[derive(Debug, Default)]
pub(crate) struct StateBuilder {
    interval: UInt32Builder,
    key: Int32Builder,
    count: UInt64Builder,
    high: Float64Builder,
    low: Float64Builder,
    lengths: Vec<usize>,
    open: usize,
}

impl StateBuilder {
    /// Adds a row to the current group.
    pub(crate) fn push(&mut self, row: StateRow) {
        self.interval.append_value(row.interval);
        self.key.append_value(row.key);
        self.count.append_value(row.count);
        self.high.append_value(row.high);
        self.low.append_value(row.low);
        self.open += 1;
    }

    /// Ends the current group.
    pub(crate) fn finish_group(&mut self) {
        self.lengths.push(std::mem::take(&mut self.open));
    }

    /// The column of all groups.
    pub(crate) fn finish(mut self) -> ArrayRef {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.interval.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.high.finish()),
            Arc::new(self.low.finish()),
        ];
        let rows = StructArray::new(row_fields(), columns, None);
        let field = Arc::new(Field::new("row", DataType::Struct(row_fields()), false));
        Arc::new(ListArray::new(
            field,
            OffsetBuffer::from_lengths(self.lengths),
            Arc::new(rows),
            None,
        ))
    }
}

/// Reads a column of states.
#[derive(Debug)]
pub(crate) struct StateReader<'a> {
    lists: &'a ListArray,
    interval: &'a UInt32Array,
    key: &'a Int32Array,
    count: &'a UInt64Array,
    high: &'a Float64Array,
    low: &'a Float64Array,
}

impl<'a> StateReader<'a> {
    /// A reader of a column made by [`StateBuilder`].
    pub(crate) fn try_new(array: &'a ArrayRef) -> Result<Self> {
        let mismatch = || DataFusionError::Internal("aggregation state has another type".into());
        let lists = array
            .as_any()
            .downcast_ref::<ListArray>()
            .ok_or_else(mismatch)?;
        let rows = lists
            .values()
            .as_any()
            .downcast_ref::<StructArray>()
            .ok_or_else(mismatch)?;
        if rows.num_columns() != 5 {
            return Err(mismatch());
        }
        Ok(Self {
            lists,
            interval: rows
                .column(0)
                .as_any()
                .downcast_ref()
                .ok_or_else(mismatch)?,
            key: rows
                .column(1)
                .as_any()
                .downcast_ref()
                .ok_or_else(mismatch)?,
            count: rows
                .column(2)
                .as_any()
                .downcast_ref()
                .ok_or_else(mismatch)?,
            high: rows
                .column(3)
                .as_any()
                .downcast_ref()
                .ok_or_else(mismatch)?,
            low: rows
                .column(4)
                .as_any()
                .downcast_ref()
                .ok_or_else(mismatch)?,
        })
    }

    /// The rows of the state at `index`.
    pub(crate) fn rows(&self, index: usize) -> impl Iterator<Item = StateRow> + '_ {
        let offsets = self.lists.offsets();
        let range = if self.lists.is_null(index) {
            0..0
        } else {
            let bound = |offset: i32| usize::try_from(offset).unwrap_or_default();
            bound(offsets[index])..bound(offsets[index + 1])
        };
        range.map(|row| StateRow {
            interval: self.interval.value(row),
            key: self.key.value(row),
            count: self.count.value(row),
            high: self.high.value(row),
            low: self.low.value(row),
        })
    }
}
