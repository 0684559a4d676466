//! The range aggregates as DataFusion aggregate functions.
//!
//! `range_count(time, start, step, intervals, limit)` and, for the others,
//! `range_sum(time, value, start, step, intervals, limit)` and so on. `time`, `start` and `step` are
//! integers in one unit; everything but `time` and `value` is a literal, so that a function travels
//! by its name and arguments alone. A last argument may be the row: nothing is aggregated of it, but an
//! operator that stands in for the aggregation can tell by it which spans it has seen. The result is a
//! state (a list of rows, see [`crate::aggregate::rows`]), which merges with those of other spans.
//!
//! Groups are keyed by labels only; the intervals of a group are a dense vector inside its state.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::cast::as_int64_array;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature,
    TypeSignature, Volatility, lit,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use crate::aggregate::interval::{IntervalCursor, Moments};
use crate::aggregate::rows::state_type;
use crate::aggregate::{RangeState, StateKind, new_state};
use crate::limit::MemoryLimit;

/// A range aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RangeUdaf {
    kind: StateKind,
    limit_key: &'static str,
    signature: Signature,
}

/// The literal arguments of a range aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RangeArguments {
    /// Exclusive start of the first interval, in the unit of the time column.
    pub(crate) start: i64,
    /// Length of an interval, in the same unit.
    pub(crate) step: i64,
    /// Number of intervals.
    pub(crate) intervals: u32,
    /// Most bytes of state.
    pub(crate) limit: MemoryLimit,
}

impl RangeArguments {
    /// The call of the aggregate over a time and, for kinds that have one, a value; with the row, if
    /// that is to be known.
    pub(crate) fn call(
        &self,
        kind: StateKind,
        time: Expr,
        value: Option<Expr>,
        row: Option<Expr>,
    ) -> Expr {
        let function = AggregateUDF::new_from_impl(RangeUdaf::new(kind, self.limit.key));
        let limit = i64::try_from(self.limit.bytes).unwrap_or(i64::MAX);
        let literals = [self.start, self.step, i64::from(self.intervals), limit].map(lit);
        let arguments = [time].into_iter().chain(value).chain(literals).chain(row);
        function.call(arguments.collect())
    }

    /// Inclusive end of the last interval, in the unit of the time column.
    pub(crate) fn end(&self) -> i64 {
        self.start + self.step * i64::from(self.intervals)
    }

    pub(crate) fn cursor(&self) -> IntervalCursor {
        IntervalCursor::new(self.start, self.step, self.intervals)
    }

    /// An empty state for these arguments.
    pub(crate) fn new_state(&self, kind: StateKind) -> Box<dyn RangeState> {
        new_state(kind, self.cursor(), self.limit)
    }
}

impl RangeUdaf {
    pub(crate) fn new(kind: StateKind, limit_key: &'static str) -> Self {
        Self {
            kind,
            limit_key,
            signature: Signature::one_of(
                vec![
                    TypeSignature::Any(argument_count(kind)),
                    TypeSignature::Any(argument_count(kind) + 1),
                ],
                Volatility::Immutable,
            ),
        }
    }

    /// What the function keeps.
    pub(crate) const fn kind(&self) -> StateKind {
        self.kind
    }

    /// The literal arguments, which follow the columns.
    pub(crate) fn arguments(&self, literals: &[Arc<dyn PhysicalExpr>]) -> Result<RangeArguments> {
        let mut literals =
            literals.iter().map(
                |expr| match expr.downcast_ref::<Literal>().map(Literal::value) {
                    Some(ScalarValue::Int64(Some(value))) => Ok(*value),
                    _ => internal_err!(
                        "{} takes integer literals after its columns",
                        self.kind.function_name()
                    ),
                },
            );
        let mut next = || {
            literals
                .next()
                .unwrap_or_else(|| internal_err!("too few arguments"))
        };
        let (start, step, intervals, limit) = (next()?, next()?, next()?, next()?);
        let (Ok(intervals), Ok(bytes), 1..) =
            (u32::try_from(intervals), u64::try_from(limit), step)
        else {
            return internal_err!("{} was given no grid", self.kind.function_name());
        };
        Ok(RangeArguments {
            start,
            step,
            intervals,
            limit: MemoryLimit {
                bytes,
                key: self.limit_key,
            },
        })
    }

    fn state(&self, args: &AccumulatorArgs<'_>) -> Result<RangeAccumulator> {
        let columns = argument_count(self.kind) - LITERALS;
        let arguments = self.arguments(args.exprs.get(columns..).unwrap_or_default())?;
        Ok(RangeAccumulator {
            kind: self.kind,
            arguments,
            state: arguments.new_state(self.kind),
        })
    }
}

/// Literal arguments of a range aggregate.
pub(crate) const LITERALS: usize = 4;

/// Arguments of a range aggregate: the time, the value if any, and four literals. The row may follow.
const fn argument_count(kind: StateKind) -> usize {
    LITERALS + if kind.has_value() { 2 } else { 1 }
}

impl AggregateUDFImpl for RangeUdaf {
    fn name(&self) -> &str {
        self.kind.function_name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(state_type())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format!("{}[state]", args.name),
            state_type(),
            true,
        ))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.state(&args)?))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.state(&args)?))
    }
}

/// A range state behind DataFusion's two accumulator interfaces.
#[derive(Debug)]
struct RangeAccumulator {
    kind: StateKind,
    arguments: RangeArguments,
    state: Box<dyn RangeState>,
}

impl RangeAccumulator {
    fn columns<'a>(
        &self,
        values: &'a [ArrayRef],
    ) -> Result<(&'a Int64Array, Option<&'a ArrayRef>)> {
        let Some(time) = values.first() else {
            return internal_err!("{} was given no time", self.kind.function_name());
        };
        Ok((
            as_int64_array(time)?,
            if self.kind.has_value() {
                values.get(1)
            } else {
                None
            },
        ))
    }
}

/// DataFusion's group numbers as ours.
fn numbers(groups: &[usize]) -> Result<Vec<u32>> {
    let too_many = |_| DataFusionError::ResourcesExhausted("more than 2^32 groups".to_owned());
    let number = |&group: &usize| u32::try_from(group).map_err(too_many);
    groups.iter().map(number).collect()
}

impl GroupsAccumulator for RangeAccumulator {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let (time, value) = self.columns(values)?;
        self.state.grow(total_num_groups);
        let groups = numbers(group_indices)?;
        let moments = Moments::Times(time.values());
        self.state.update(Some(&groups), moments, value, opt_filter)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let count = match emit_to {
            EmitTo::All => self.state.group_count(),
            EmitTo::First(count) => count,
        };
        Ok(self.state.take(count))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![GroupsAccumulator::evaluate(self, emit_to)?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(states) = values.first() else {
            return internal_err!("no state to merge");
        };
        self.state.grow(total_num_groups);
        self.state.absorb(&numbers(group_indices)?, states)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let (time, value) = self.columns(values)?;
        // One row is one group here, so each gets a state of a single interval.
        let mut states = Vec::with_capacity(time.len());
        for row in 0..time.len() {
            let mut state = self.arguments.new_state(self.kind);
            let value = value.map(|value| value.slice(row, 1));
            let filter = opt_filter.map(|filter| filter.slice(row, 1));
            let moments = Moments::Times(&time.values()[row..=row]);
            state.update(None, moments, value.as_ref(), filter.as_ref())?;
            states.push(state.take(1));
        }
        let states: Vec<_> = states.iter().map(AsRef::as_ref).collect();
        if states.is_empty() {
            return Ok(vec![arrow::array::new_empty_array(&state_type())]);
        }
        Ok(vec![
            arrow::compute::concat(&states).map_err(DataFusionError::from)?,
        ])
    }

    fn size(&self) -> usize {
        self.state.bytes()
    }
}

impl Accumulator for RangeAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (time, value) = self.columns(values)?;
        let moments = Moments::Times(time.values());
        self.state.update(None, moments, value, None)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.state.grow(1);
        ScalarValue::try_from_array(&self.state.take(1), 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.state.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![Accumulator::evaluate(self)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else {
            return internal_err!("no state to merge");
        };
        self.state.grow(1);
        self.state.absorb(&vec![0; states.len()], states)
    }
}
