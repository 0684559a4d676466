//! Runs a program over whole traces.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;
use traceql::ast::SpansetOp;

use super::partition::Partition;
use super::program::{ExpressionId, GroupBy, Program, ScalarFilter, Step, Term};
use super::relation::{Forest, Sides, row};
use super::scalar::Scalars;
use crate::key::Grouping;
use crate::key::{KeyColumn, KeyValue};
use crate::series::AttributeValue;

/// A program with physical expressions.
#[derive(Debug, Clone)]
pub(crate) struct Runnable {
    pub(crate) program: Arc<Program>,
    pub(crate) expressions: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether spansets keep what `by(…)` and aggregates found.
    pub(crate) keep_attributes: bool,
}

/// Some whole traces, while a program runs over them.
pub(super) struct Run<'a> {
    pub(super) runnable: &'a Runnable,
    pub(super) batch: &'a RecordBatch,
    pub(super) forest: &'a Forest,
}

impl Runnable {
    /// The spansets that the program makes of whole traces.
    ///
    /// # Errors
    /// An expression fails on a span that it is evaluated on, or a structural operator is given
    /// several spansets of one trace.
    pub(crate) fn run(&self, batch: &RecordBatch, forest: &Forest) -> Result<Partition> {
        let run = Run {
            runnable: self,
            batch,
            forest,
        };
        let mut partition = Partition::whole(&forest.traces);
        run.steps(&self.program.steps, &mut partition)?;
        Ok(partition)
    }
}

impl Run<'_> {
    pub(super) fn steps(&self, steps: &[Step], partition: &mut Partition) -> Result<()> {
        for step in steps {
            match step {
                Step::Select(term) => {
                    let selected = self.select(term, partition)?;
                    partition.retain(&selected);
                }
                Step::Filter(filter) => self.filter(filter, partition)?,
                Step::GroupBy(by) => self.group_by(by, partition)?,
                Step::Coalesce => partition.coalesce(),
            }
        }
        Ok(())
    }

    /// Rows that a term selects of those in a spanset; on other rows the result means nothing.
    fn select(&self, term: &Term, partition: &Partition) -> Result<Vec<bool>> {
        match term {
            Term::All => Ok(partition.members()),
            Term::Where(condition) => self.mask(*condition, partition),
            Term::Pipeline(steps) => {
                let mut result = partition.clone();
                self.steps(steps, &mut result)?;
                Ok(result.members())
            }
            Term::Combine { op, lhs, rhs, text } => {
                let (left, right) = match op {
                    SpansetOp::And | SpansetOp::Or => {
                        (self.select(lhs, partition)?, self.select(rhs, partition)?)
                    }
                    SpansetOp::Structural { .. } => (
                        self.single(lhs, partition, text)?,
                        self.single(rhs, partition, text)?,
                    ),
                };
                Ok(self.combine(*op, partition, &left, &right))
            }
        }
    }

    fn combine(
        &self,
        op: SpansetOp,
        partition: &Partition,
        left: &[bool],
        right: &[bool],
    ) -> Vec<bool> {
        let either = left.iter().zip(right).map(|(left, right)| left | right);
        match op {
            SpansetOp::Or => either.collect(),
            SpansetOp::And => {
                let (left, right) = (partition.occupied(left), partition.occupied(right));
                let both = |spanset: u32| {
                    let spanset = spanset as usize;
                    left.get(spanset) == Some(&true) && right.get(spanset) == Some(&true)
                };
                let rows = either.zip(&partition.of_row);
                rows.map(|(either, &spanset)| either && both(spanset))
                    .collect()
            }
            SpansetOp::Structural { relation, form } => {
                let sides = Sides {
                    left,
                    right,
                    spansets: &partition.of_row,
                    spanset_count: partition.spansets.len(),
                };
                self.forest.related(relation, form, sides)
            }
        }
    }

    /// As [`Self::select`], for an operand that must not be several spansets.
    fn single(&self, term: &Term, partition: &Partition, operator: &str) -> Result<Vec<bool>> {
        let Term::Pipeline(steps) = term else {
            return self.select(term, partition);
        };
        let mut result = partition.clone();
        self.steps(steps, &mut result)?;
        partition.only_results(&result, operator)?;
        Ok(result.members())
    }

    fn group_by(&self, by: &GroupBy, partition: &mut Partition) -> Result<()> {
        for failure in &by.failures {
            self.column(*failure, partition)?;
        }
        let key = self.column(by.key, partition)?;
        let mut grouping = Grouping::new([key.data_type()]);
        let groups = grouping
            .groups(std::slice::from_ref(&key))?
            .unwrap_or_default();
        let keys = grouping.keys()?;
        let keys = KeyColumn::try_new(by.kind, &keys[0])?;
        // Some values that are stored differently are the same, such as zeros of either sign.
        let mut distinct: HashMap<(KeyValue<'_>, Option<Vec<KeyValue<'_>>>), u32> = HashMap::new();
        let mut values = Vec::new();
        let mut numbers = Vec::with_capacity(grouping.len());
        for group in 0..grouping.len() {
            let (key, elements) = (keys.get(group)?, keys.elements(group)?);
            let shown = match &elements {
                Some(elements) => {
                    let elements = elements.iter().map(|element| element.label_or_nil());
                    AttributeValue::Array(elements.collect())
                }
                None => AttributeValue::Scalar(key.label_or_nil()),
            };
            let next = row(distinct.len());
            numbers.push(*distinct.entry((key, elements)).or_insert_with(|| {
                values.push(shown);
                next
            }));
        }
        let groups: Vec<u32> = groups
            .iter()
            .map(|&group| numbers[group as usize])
            .collect();
        partition.split(&groups, |group| {
            let value = values.get(group as usize)?.clone();
            let kept = self.runnable.keep_attributes;
            kept.then(|| (Arc::clone(&by.name), value))
        });
        Ok(())
    }

    fn filter(&self, filter: &ScalarFilter, partition: &mut Partition) -> Result<()> {
        let mut scalars = Scalars::new(self, partition);
        let (lhs, rhs) = (scalars.numbers(&filter.lhs)?, scalars.numbers(&filter.rhs)?);
        let pairs = lhs.into_iter().zip(rhs);
        let kept: Vec<bool> = pairs
            .map(|pair| match pair {
                (Some(lhs), Some(rhs)) => lhs.compares(filter.op, rhs),
                _ => false,
            })
            .collect();
        let Scalars {
            shown, selected, ..
        } = scalars;
        if self.runnable.keep_attributes {
            for (name, values) in shown {
                for (spanset, value) in partition.spansets.iter_mut().zip(values) {
                    let value = value
                        .map(|value| (Arc::clone(&name), AttributeValue::Scalar(value.label())));
                    spanset.attributes.extend(value);
                }
            }
        }
        partition.retain_spansets(&kept);
        if let Some(selected) = selected {
            partition.retain(&selected);
        }
        Ok(())
    }

    /// Whether a condition is true, on the rows of a partition.
    fn mask(&self, condition: ExpressionId, partition: &Partition) -> Result<Vec<bool>> {
        let values = self.column(condition, partition)?;
        let Some(values) = values.as_boolean_opt() else {
            return Err(DataFusionError::Internal(format!(
                "a condition is of type {}",
                values.data_type()
            )));
        };
        // Null counts as false.
        Ok(match values.nulls() {
            None => values.values().iter().collect(),
            Some(_) => values.iter().map(|value| value == Some(true)).collect(),
        })
    }

    /// The values of an expression. One that can fail is evaluated on the rows of the partition
    /// alone, and null elsewhere.
    pub(super) fn column(&self, id: ExpressionId, partition: &Partition) -> Result<ArrayRef> {
        let rows = self.batch.num_rows();
        let physical = &self.runnable.expressions[id];
        if !self.runnable.program.expressions[id].can_fail {
            return physical.evaluate(self.batch)?.into_array(rows);
        }
        let members = partition.members();
        if members.iter().all(|&member| member) {
            return physical.evaluate(self.batch)?.into_array(rows);
        }
        let batch = filter_record_batch(self.batch, &BooleanArray::from(members.clone()))?;
        let values = physical.evaluate(&batch)?.into_array(batch.num_rows())?;
        if *values.data_type() == DataType::Null {
            return Ok(arrow::array::new_null_array(&DataType::Null, rows));
        }
        let mut next = 0;
        let places = members.iter().map(|&member| {
            member.then(|| {
                next += 1;
                row(next - 1)
            })
        });
        Ok(take(&values, &places.collect::<UInt32Array>(), None)?)
    }
}
