//! Choosing what may be shown among the rows that a plan of DataFusion gives.

use std::ops::Range;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::common::internal_err;
use datafusion::error::Result;
use storage::block::MemoryBlock;
use storage::schema::names;

use super::encoded::Durations;
use crate::aggregate::interval::Moments;
use crate::batch::named;
use crate::exemplars::Candidates;
use crate::exemplars::chooser::{Chooser, OfferedValues};
use crate::exemplars::values::{Located, RowValues};
use crate::key::Grouping;
use crate::provider::Spans;
use crate::rows::Rows;

/// Chooses among rows that come in the order of their block.
pub(crate) struct RowChooser {
    chooser: Chooser,
    durations: Source,
    row_groups: Vec<Range<usize>>,
    /// The row group that is open.
    open: Option<usize>,
}

/// Where durations are.
enum Source {
    Stored(Box<Durations>),
    /// First rows and durations of a live block's batches.
    Live(Vec<(usize, Int64Array)>),
}

impl RowChooser {
    /// Of the spans of a block.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(crate) async fn try_new(chooser: Chooser, spans: &Spans) -> Result<Self> {
        let (durations, row_groups) = match spans {
            Spans::Live(block) => {
                let whole = 0..block.row_count();
                (Source::Live(durations(block)?), vec![whole])
            }
            Spans::Stored { file, .. } => {
                let durations = Durations::of(file.clone()).await?;
                let row_groups = durations.row_groups();
                (Source::Stored(Box::new(durations)), row_groups)
            }
        };
        Ok(Self {
            chooser,
            durations,
            row_groups,
            open: None,
        })
    }

    /// What was chosen.
    pub(crate) fn finish(self) -> Candidates {
        self.chooser.finish()
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        self.chooser.bytes()
    }

    /// Considers the next rows: their places, their times, their groups, and what is aggregated of them.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, or rows are none of it.
    pub(crate) async fn add(
        &mut self,
        rows: &Int64Array,
        times: &[i64],
        (groups, grouping): (Option<&[u32]>, &Grouping),
        values: Option<&ArrayRef>,
    ) -> Result<()> {
        let rows = rows.values().iter();
        let rows: Vec<usize> = rows
            .map(|row| usize::try_from(*row).unwrap_or(usize::MAX))
            .collect();
        let mut intervals = Vec::new();
        let mut at = 0;
        while let Some(&first) = rows.get(at) {
            let group = self.row_groups.partition_point(|group| group.end <= first);
            let Range { start, end } = self.row_groups.get(group).cloned().unwrap_or(0..usize::MAX);
            if self.open != Some(group) {
                self.open = Some(group);
                self.chooser.open(start);
                if let Source::Stored(durations) = &mut self.durations {
                    durations.open(group);
                }
            }
            let page_end = match &self.durations {
                Source::Stored(durations) => {
                    let end = durations.page_end(first - start);
                    end.saturating_add(start)
                }
                Source::Live(_) => usize::MAX,
            };
            let left = rows.get(at..).unwrap_or_default();
            let count = left.partition_point(|row| *row < end.min(page_end));
            let count = count.max(1);
            let from = first - start;
            let distances = left.iter().take(count).map(|row| row - first);
            let distances = distances.map(|row| u32::try_from(row).unwrap_or(u32::MAX));
            let distances = Rows::Some(distances.collect());
            let moments = Moments::Times(times.get(at..at + count).unwrap_or_default());
            let located = self.chooser.locate(moments, &mut intervals);
            let aggregated = match values {
                Some(values) => Some(RowValues::try_new(&values.slice(at, count))?),
                None => None,
            };
            let longest = match values {
                Some(_) => None,
                None => self.durations(from, &distances, located).await?,
            };
            let values = OfferedValues {
                ranks: aggregated.as_ref().or(longest.as_ref()),
                aggregated: aggregated.as_ref(),
            };
            let groups = groups.and_then(|groups| groups.get(at..at + count));
            let groups = (groups, grouping);
            self.chooser
                .offer((from, &distances), located, groups, values)?;
            at += count;
        }
        Ok(())
    }

    /// The durations of some rows from `first` on, if one of them may be the longest of its interval.
    async fn durations(
        &mut self,
        first: usize,
        rows: &Rows,
        located: Located<'_>,
    ) -> Result<Option<RowValues>> {
        match &mut self.durations {
            Source::Stored(durations) => {
                let last = rows.get(rows.len().saturating_sub(1));
                let window = first..first + last + 1;
                let chooser = &self.chooser;
                durations.wanted(window, rows, located, chooser).await
            }
            Source::Live(durations) => Ok(Some(of_batches(durations, first, rows)?)),
        }
    }
}

/// The durations of some rows from `first` on, out of batches.
fn of_batches(batches: &[(usize, Int64Array)], first: usize, rows: &Rows) -> Result<RowValues> {
    let mut durations = Vec::with_capacity(rows.len());
    rows.each(|row| {
        let row = first + row;
        let batch = batches.partition_point(|(first, _)| *first <= row);
        let batch = batch.checked_sub(1).and_then(|batch| batches.get(batch));
        let duration = batch.and_then(|(first, batch)| batch.values().get(row - first));
        let Some(duration) = duration else {
            return internal_err!("a live block has no row {row}");
        };
        durations.push(*duration);
        Ok(())
    })?;
    Ok(RowValues::Int(durations.into()))
}

/// First rows and durations of the batches of a live block.
fn durations(block: &MemoryBlock) -> Result<Vec<(usize, Int64Array)>> {
    let mut first = 0;
    let batches = block.batches.iter().map(|batch| {
        let durations = named(batch, names::DURATION)?;
        let own = (first, durations.as_primitive::<Int64Type>().clone());
        first += batch.num_rows();
        Ok(own)
    });
    batches.collect()
}
