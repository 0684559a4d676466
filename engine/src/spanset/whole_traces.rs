//! Cuts a stream of spans between traces.
//!
//! A scan gives batches of some thousand rows, which may end inside a trace. What follows needs whole
//! traces, so the rows of the last trace of a batch wait for the next one. Most of a batch passes on
//! as it is; only traces that a batch border cuts are copied together.

use arrow::array::{Array, AsArray, FixedSizeBinaryArray, RecordBatch};
use arrow::compute::concat_batches;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use storage::schema::names;

use super::relation::row;
use crate::batch::named;

/// Spans of whole traces.
#[derive(Debug)]
pub(crate) struct WholeTraces {
    /// The spans.
    pub(crate) batch: RecordBatch,
    /// First row of each trace, then the number of rows.
    pub(crate) traces: Vec<u32>,
}

/// Puts traces together that lie on batch borders.
#[derive(Debug, Default)]
pub(crate) struct TraceCutter {
    /// Rows of one trace, the last that was seen.
    waiting: Vec<RecordBatch>,
}

impl WholeTraces {
    fn new(batch: RecordBatch) -> Result<Self> {
        let traces = starts(ids(&batch)?);
        Ok(Self { batch, traces })
    }
}

impl TraceCutter {
    /// Takes the next spans in stored order, and gives the traces that have ended with them.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<Vec<WholeTraces>> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let mut traces = starts(ids(&batch)?);
        let mut done = Vec::new();
        let continues = match self.waiting.first() {
            Some(before) => ids(before)?.value(0) == ids(&batch)?.value(0),
            None => false,
        };
        // The last element is the number of rows, the one before it the start of the last trace.
        let last = traces[traces.len() - 2];
        if continues && last == 0 {
            self.waiting.push(batch);
            return Ok(done);
        }
        let mut first = 0;
        if continues {
            first = traces[1];
            self.waiting.push(batch.slice(0, first as usize));
            traces.remove(0);
        }
        done.extend(self.finish()?);
        self.waiting = vec![batch.slice(last as usize, batch.num_rows() - last as usize)];
        traces.pop();
        if traces.len() > 1 {
            for start in &mut traces {
                *start -= first;
            }
            let batch = batch.slice(first as usize, (last - first) as usize);
            done.push(WholeTraces { batch, traces });
        }
        Ok(done)
    }

    /// The trace that nothing follows.
    pub(crate) fn finish(&mut self) -> Result<Option<WholeTraces>> {
        let waiting = std::mem::take(&mut self.waiting);
        match waiting.as_slice() {
            [] => Ok(None),
            [only] => WholeTraces::new(only.clone()).map(Some),
            [first, ..] => {
                let whole = concat_batches(&first.schema(), &waiting)?;
                WholeTraces::new(whole).map(Some)
            }
        }
    }

    /// Bytes that wait, about.
    pub(crate) fn bytes(&self) -> usize {
        // The first piece is a slice of a batch that is accounted for by whoever made it; what
        // grows without bound are the pieces of a trace longer than a batch.
        self.waiting
            .iter()
            .skip(1)
            .map(RecordBatch::get_array_memory_size)
            .sum()
    }
}

fn ids(batch: &RecordBatch) -> Result<&FixedSizeBinaryArray> {
    named(batch, names::TRACE_ID)?
        .as_fixed_size_binary_opt()
        .ok_or_else(|| internal_datafusion_err!("spans without {}", names::TRACE_ID))
}

/// First row of each run of equal ids, then the number of rows.
fn starts(ids: &FixedSizeBinaryArray) -> Vec<u32> {
    let mut ids_in_order = ids.value_data().chunks_exact(ids.value_size());
    let mut starts = Vec::new();
    let mut before = ids_in_order.next();
    if before.is_some() {
        starts.push(0);
    }
    for (at, id) in (1_u32..).zip(ids_in_order) {
        if before != Some(id) {
            starts.push(at);
            before = Some(id);
        }
    }
    starts.push(row(ids.len()));
    starts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, FixedSizeBinaryArray};

    use super::*;

    fn batch(traces: &[u8]) -> RecordBatch {
        let values: Vec<u8> = traces.iter().flat_map(|id| [*id; 16]).collect();
        let ids = FixedSizeBinaryArray::new(16, values.into(), None);
        RecordBatch::try_from_iter([(names::TRACE_ID, Arc::new(ids) as ArrayRef)]).unwrap()
    }

    fn shape(traces: &[WholeTraces]) -> Vec<(Vec<u8>, Vec<u32>)> {
        let shape = |whole: &WholeTraces| {
            let ids = ids(&whole.batch).unwrap();
            let ids = (0..ids.len()).map(|at| ids.value(at)[0]).collect();
            (ids, whole.traces.clone())
        };
        traces.iter().map(shape).collect()
    }

    #[test]
    fn however_batches_are_cut_traces_come_out_whole() {
        let all = [1, 1, 2, 3, 3, 3, 3, 4, 5, 5];
        for first in 0..=all.len() {
            for second in first..=all.len() {
                let mut cutter = TraceCutter::default();
                let mut done = Vec::new();
                for part in [&all[..first], &all[first..second], &all[second..]] {
                    done.extend(cutter.push(batch(part)).unwrap());
                }
                done.extend(cutter.finish().unwrap());
                let rows: Vec<u8> = shape(&done)
                    .iter()
                    .flat_map(|(ids, _)| ids.clone())
                    .collect();
                assert_eq!(rows, all);
                let starts: usize = shape(&done)
                    .iter()
                    .map(|(_, traces)| traces.len() - 1)
                    .sum();
                assert_eq!(starts, 5, "cut at {first} and {second}: {:?}", shape(&done));
            }
        }
    }

    #[test]
    fn what_lies_inside_a_batch_is_passed_on_together() {
        let mut cutter = TraceCutter::default();
        assert!(cutter.push(batch(&[1])).unwrap().is_empty());
        let done = cutter.push(batch(&[1, 2, 2, 3, 4])).unwrap();
        let expected = [(vec![1, 1], vec![0, 2]), (vec![2, 2, 3], vec![0, 2, 3])];
        assert_eq!(shape(&done), expected);
        let last = cutter.finish().unwrap();
        assert_eq!(shape(last.as_slice()), [(vec![4], vec![0, 1])]);
        assert!(cutter.finish().unwrap().is_none());
    }
}
