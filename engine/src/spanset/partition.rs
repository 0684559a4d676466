//! The spansets of some whole traces at one point of a pipeline.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};

use super::relation::{NONE, row};
use crate::error::{EngineError, EvaluationError};
use crate::series::AttributeValue;

/// Which spanset each span is in. Spansets of a trace never share a span.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    /// Number of each row's spanset; [`NONE`] outside of all.
    pub(crate) of_row: Vec<u32>,
    /// The spansets by number. Those that no row is in do not exist any more.
    pub(crate) spansets: Vec<Spanset>,
}

/// What is known of a spanset besides its spans.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spanset {
    /// Number of its trace.
    pub(crate) trace: u32,
    /// What `by(…)` and aggregates found, in pipeline order.
    pub(crate) attributes: Vec<(Arc<str>, AttributeValue)>,
}

impl Partition {
    /// One spanset a trace, of all its spans. `traces` as in [`super::relation::Forest::traces`].
    pub(crate) fn whole(traces: &[u32]) -> Self {
        let mut of_row = vec![NONE; traces.last().map_or(0, |&rows| rows as usize)];
        let mut spansets = Vec::with_capacity(traces.len());
        for (trace, rows) in (0..).zip(traces.windows(2)) {
            of_row[rows[0] as usize..rows[1] as usize].fill(trace);
            spansets.push(Spanset {
                trace,
                attributes: Vec::new(),
            });
        }
        Self { of_row, spansets }
    }

    /// Whether each row is in a spanset.
    pub(crate) fn members(&self) -> Vec<bool> {
        self.of_row.iter().map(|&spanset| spanset != NONE).collect()
    }

    /// Whether any row is in a spanset.
    pub(crate) fn is_empty(&self) -> bool {
        self.of_row.iter().all(|&spanset| spanset == NONE)
    }

    /// Drops the rows that are not `kept`.
    pub(crate) fn retain(&mut self, kept: &[bool]) {
        for (spanset, &kept) in self.of_row.iter_mut().zip(kept) {
            if !kept {
                *spanset = NONE;
            }
        }
    }

    /// Drops the spansets that are not `kept`, by number.
    pub(crate) fn retain_spansets(&mut self, kept: &[bool]) {
        for spanset in &mut self.of_row {
            if *spanset != NONE && !kept[*spanset as usize] {
                *spanset = NONE;
            }
        }
    }

    /// Whether each spanset has a row.
    pub(crate) fn occupied(&self, rows: &[bool]) -> Vec<bool> {
        let mut occupied = vec![false; self.spansets.len()];
        for (&spanset, &selected) in self.of_row.iter().zip(rows) {
            if selected && spanset != NONE {
                occupied[spanset as usize] = true;
            }
        }
        occupied
    }

    /// The spanset of `result` that rows of each spanset are in, [`NONE`] where there is none.
    /// `result` holds some rows of this partition in other spansets.
    ///
    /// # Errors
    /// [`EvaluationError::SeveralSpansets`] for `expression` where there is more than one.
    pub(crate) fn only_results(&self, result: &Self, expression: &str) -> Result<Vec<u32>> {
        let mut found = vec![NONE; self.spansets.len()];
        for (&spanset, &of_result) in self.of_row.iter().zip(&result.of_row) {
            if spanset == NONE || of_result == NONE {
                continue;
            }
            let found = &mut found[spanset as usize];
            if *found != NONE && *found != of_result {
                let error = EngineError::Evaluation(EvaluationError::SeveralSpansets {
                    expression: expression.to_owned(),
                });
                return Err(DataFusionError::External(Box::new(error)));
            }
            *found = of_result;
        }
        Ok(found)
    }

    /// One spanset for all of a trace's, without their attributes.
    pub(crate) fn coalesce(&mut self) {
        let traces = self.spansets.iter().map(|spanset| spanset.trace);
        let count = traces.clone().max().map_or(0, |last| last + 1);
        let trace_of: Vec<u32> = traces.collect();
        for spanset in &mut self.of_row {
            if *spanset != NONE {
                *spanset = trace_of[*spanset as usize];
            }
        }
        let spanset = |trace| Spanset {
            trace,
            attributes: Vec::new(),
        };
        self.spansets = (0..count).map(spanset).collect();
    }

    /// Splits every spanset by the group of its rows. `attribute` gives what the new spanset of a
    /// group gets besides what the one it comes from has.
    pub(crate) fn split(
        &mut self,
        groups: &[u32],
        attribute: impl Fn(u32) -> Option<(Arc<str>, AttributeValue)>,
    ) {
        let mut numbers = hashbrown::HashMap::new();
        let mut spansets: Vec<Spanset> = Vec::new();
        for (spanset, &group) in self.of_row.iter_mut().zip(groups) {
            if *spanset == NONE {
                continue;
            }
            *spanset = *numbers.entry((*spanset, group)).or_insert_with(|| {
                let mut new = self.spansets[*spanset as usize].clone();
                new.attributes.extend(attribute(group));
                spansets.push(new);
                row(spansets.len() - 1)
            });
        }
        self.spansets = spansets;
    }
}
