//! Counts the spans of one slice by the values of their attributes.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;

use super::column::ColumnCounter;
use super::columns::Compared;
use super::places::Places;
use super::residual::ResidualCounter;
use super::tally::Tally;
use crate::aggregate::interval::IntervalCursor;

/// Counts what is compared.
pub(crate) struct Counter {
    /// Each with what has its values.
    columns: Vec<(ColumnCounter, Arc<dyn PhysicalExpr>)>,
    residuals: Vec<ResidualCounter>,
    time: Arc<dyn PhysicalExpr>,
    cursor: IntervalCursor,
    /// Whether a span is of the selection.
    selection: Arc<dyn PhysicalExpr>,
    tally: Tally,
    reservation: MemoryReservation,
}

/// What tells a span's place.
pub(crate) struct PlaceOf {
    pub(crate) time: Arc<dyn PhysicalExpr>,
    pub(crate) cursor: IntervalCursor,
    /// Whether a span is of the selection.
    pub(crate) selection: Arc<dyn PhysicalExpr>,
}

impl Counter {
    /// Counts into a tally. `values` has an expression for each of [`Compared::values`].
    pub(crate) fn new(
        compared: &Compared,
        values: Vec<Arc<dyn PhysicalExpr>>,
        place: PlaceOf,
        mut tally: Tally,
        reservation: MemoryReservation,
    ) -> Self {
        let columns = compared.values.iter().zip(values);
        let columns = columns.map(|(column, expr)| {
            let attribute = tally.attribute(&column.attribute);
            let counter = ColumnCounter::new(attribute, column.value_type, tally.grid());
            (counter, expr)
        });
        Self {
            columns: columns.collect(),
            residuals: compared
                .residuals
                .iter()
                .cloned()
                .map(ResidualCounter::new)
                .collect(),
            time: place.time,
            cursor: place.cursor,
            selection: place.selection,
            tally,
            reservation,
        }
    }

    /// Counts the spans of a batch that start in the window.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some((batch, intervals)) = self.inside(batch)? else {
            return Ok(());
        };
        let rows = batch.num_rows();
        let selected = self.selection.evaluate(&batch)?.into_array(rows)?;
        let places = Places::of(intervals, selected.as_boolean());
        for (column, expr) in &mut self.columns {
            let values = expr.evaluate(&batch)?.into_array(rows)?;
            column.add(&values, &places, &mut self.tally)?;
        }
        for residual in &mut self.residuals {
            residual.add(&batch, &places, &mut self.tally)?;
        }
        self.account()
    }

    /// Everything that has been counted.
    pub(crate) fn finish(mut self) -> Result<Tally> {
        for (column, _) in &mut self.columns {
            column.drain(&mut self.tally)?;
        }
        self.account()?;
        Ok(self.tally)
    }

    /// The rows that start in the window, each with its interval; none if there are none.
    fn inside(&mut self, batch: &RecordBatch) -> Result<Option<(RecordBatch, Vec<u32>)>> {
        let times = self.time.evaluate(batch)?.into_array(batch.num_rows())?;
        let times = times.as_primitive::<Int64Type>().values();
        let mut intervals = Vec::with_capacity(times.len());
        let mut inside = Vec::with_capacity(times.len());
        for &time in times {
            let interval = self.cursor.find(time);
            let interval = interval.and_then(|interval| u32::try_from(interval).ok());
            intervals.extend(interval);
            inside.push(interval.is_some());
        }
        if intervals.is_empty() {
            return Ok(None);
        }
        // On spans outside the window nothing is evaluated, so that nothing can fail there.
        let batch = if intervals.len() == times.len() {
            batch.clone()
        } else {
            filter_record_batch(batch, &BooleanArray::from(inside))?
        };
        Ok(Some((batch, intervals)))
    }

    /// Keeps to the query's limit.
    fn account(&mut self) -> Result<()> {
        let columns = self.columns.iter().map(|(column, _)| column.bytes());
        let held = self.tally.bytes() + columns.sum::<usize>();
        self.tally
            .check(held)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        self.reservation.try_resize(held)
    }
}
