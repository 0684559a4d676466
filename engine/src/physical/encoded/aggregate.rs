//! `EncodedAggregate`: scan, filter, grouping and range aggregation over encoded columns.
//!
//! It does what DataFusion's scan and filter and [`RangeAggregateExec`](crate::physical::RangeAggregateExec) do
//! together, where each condition and key is of one column that lies flat in a stored block. Then
//! everything about a value is found out once per value of a dictionary (whether a condition holds, of
//! which group it is, in which interval), and a row costs a look-up by its code. Columns are read as
//! far as rows are left: conditions first, and of the others only the pages that have such rows.
//!
//! Everything else goes the general way, which is also what this one is tested against.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_expr::PhysicalExpr;
use storage::block::BlockFile;
use storage::block::encoded::EncodedColumn;

use super::codes::Codes;
use super::durations::Durations;
use super::page_index::{Remaining, remaining};
use super::plan::{EncodedColumns, Planner};
use super::window::{
    Cached, Intervals, OfColumn, Truths, When, Window, cached, external, window_end,
};
use crate::aggregate::interval::{IntervalCursor, Moments};
use crate::aggregate::{Groups, RangeState, StateKind};
use crate::exemplars::Candidates;
use crate::exemplars::chooser::{Chooser, OfferedValues};
use crate::exemplars::values::RowValues;
use crate::functions::range_udaf::RangeArguments;
use crate::key::{Grouping, KeyTable};
use crate::lower::{LoweredAggregate, Selected};
use crate::rows::Rows;
use crate::scan::{StoredRows, row_groups};

/// Rows that are looked at together: few enough that their codes stay in the nearest cache.
const WINDOW_ROWS: usize = 2048;
/// The same where a filter may leave few of them, of which alone most columns are read.
const FILTERED_ROWS: usize = 4096;
/// Windows after which other jobs get a turn.
const WINDOWS_AT_ONCE: usize = 64;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct EncodedAggregate {
    file: BlockFile,
    remaining: Vec<Remaining>,
    columns: EncodedColumns,
    filters: Vec<OfColumn>,
    keys: Vec<GroupKey>,
    /// Types of the key columns.
    key_types: Vec<DataType>,
    /// The column of times.
    time: usize,
    value: Option<OfColumn>,
    kind: StateKind,
    arguments: RangeArguments,
}

/// What is chosen to be shown of the rows.
struct Choice {
    chooser: Chooser,
    /// The place in the block of each row group's first row.
    first_rows: Vec<usize>,
    /// Where it is by their durations that rows are compared.
    durations: Option<Durations>,
    /// Room for the intervals of rows.
    intervals: Vec<u32>,
}

#[derive(Debug, Clone)]
enum GroupKey {
    /// One for all rows.
    Constant(ArrayRef),
    OfColumn(OfColumn),
}

impl EncodedAggregate {
    /// The operator for a query over some row groups of a block, if it is one for them.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(crate) fn plan(
        selected: &Selected,
        aggregate: &LoweredAggregate,
        stored: &StoredRows<'_>,
        session: &dyn Session,
    ) -> Result<Option<Self>> {
        let (Some(filter), Expr::Column(time), Ok(schema)) =
            (selected.condition(), &selected.time, stored.footer.schema())
        else {
            return Ok(None);
        };
        let LoweredAggregate {
            keys, value, kind, ..
        } = aggregate;
        let mut planner = Planner::new(session, stored, schema);
        let Some(filters) = planner.filters(filter)? else {
            return Ok(None);
        };
        let (mut own_keys, mut key_types) = (Vec::new(), Vec::new());
        for key in keys {
            if let Expr::Literal(value, _) = key {
                key_types.push(value.data_type());
                own_keys.push(GroupKey::Constant(value.to_array_of_size(1)?));
                continue;
            }
            let Some(key) = planner.derived(key)? else {
                return Ok(None);
            };
            key_types.push(key.expr.data_type(&key.schema)?);
            own_keys.push(GroupKey::OfColumn(key));
        }
        let value = match value {
            None => None,
            Some(value) => match planner.derived(value)? {
                None => return Ok(None),
                value => value,
            },
        };
        let Some(time) = planner.column(&time.name) else {
            return Ok(None);
        };
        let arguments = selected.arguments;
        let (start, end) = (lit(arguments.start), lit(arguments.end()));
        let time_is_inside = selected.time.clone().gt(start);
        let time_is_inside = time_is_inside.and(selected.time.clone().lt_eq(end));
        // Looked at by the page only: what each row's time comes to is found anyhow.
        let inside = planner.derived(&time_is_inside)?;
        let conditions = filters.iter().chain(&inside);
        let conditions = conditions.map(|condition| (&condition.expr, &condition.schema));
        Ok(Some(Self {
            file: stored.file.clone(),
            remaining: remaining(stored.footer, stored.row_groups, conditions)?,
            columns: planner.columns(),
            filters,
            keys: own_keys,
            key_types,
            time,
            value,
            kind: *kind,
            arguments,
        }))
    }

    /// Aggregates all of the row groups; with `chooses`, also chooses spans that may be shown.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, or it takes more memory than allowed.
    pub(crate) async fn aggregate(
        &self,
        pool: &Arc<dyn MemoryPool>,
        chooses: bool,
    ) -> Result<(Groups, Option<Candidates>)> {
        let reservation = MemoryConsumer::new("EncodedAggregate").register(pool);
        let mut file = self.file.clone();
        let choice = if chooses {
            Some(self.choice(&mut file).await?)
        } else {
            None
        };
        let mut aggregation = Aggregation::new(self, choice);
        for Remaining { row_group, rows } in &self.remaining {
            let columns = EncodedColumn::open(&mut file, *row_group, &self.columns.leaves).await;
            aggregation.open(columns.map_err(external)?);
            if let Some(choice) = &mut aggregation.choice {
                choice.open(*row_group);
            }
            let mut windows = 0;
            for rows in rows {
                let mut row = rows.start;
                while row < rows.end {
                    row = aggregation.window(row, rows.end).await?;
                    windows += 1;
                    if windows % WINDOWS_AT_ONCE == 0 {
                        reservation.try_resize(aggregation.bytes())?;
                        tokio::task::yield_now().await;
                    }
                }
            }
            reservation.try_resize(aggregation.bytes())?;
        }
        let groups = Groups {
            keys: aggregation.grouping.keys()?,
            state: aggregation.state,
        };
        let choice = aggregation.choice.map(|choice| choice.chooser.finish());
        Ok((groups, choice))
    }

    async fn choice(&self, file: &mut BlockFile) -> Result<Choice> {
        let block = file.meta().block_id;
        let footer = file.footer().await.map_err(external)?;
        Ok(Choice {
            chooser: Chooser::new(block, self.kind, &self.arguments),
            first_rows: row_groups(&footer).map(|group| group.start).collect(),
            durations: if self.value.as_ref().is_none_or(OfColumn::is_duration) {
                Some(Durations::of(file.clone()).await?)
            } else {
                None
            },
            intervals: Vec::new(),
        })
    }
}

impl Choice {
    /// Goes on to another row group.
    fn open(&mut self, row_group: usize) {
        let first_row = self.first_rows.get(row_group).copied();
        self.chooser.open(first_row.unwrap_or_default());
        if let Some(durations) = &mut self.durations {
            durations.open(row_group);
        }
    }

    /// Considers the rows of a window that count.
    async fn offer(
        &mut self,
        window: Range<usize>,
        selected: &Rows,
        moments: Moments<'_>,
        groups: (Option<&[u32]>, &Grouping),
        values: Option<&ArrayRef>,
    ) -> Result<()> {
        let chooser = &mut self.chooser;
        let located = chooser.locate(moments, &mut self.intervals);
        let aggregated = values.map(RowValues::try_new).transpose()?;
        let longest = match &mut self.durations {
            Some(durations) => {
                let window = window.clone();
                durations.wanted(window, selected, located, chooser).await?
            }
            None => None,
        };
        let values = OfferedValues {
            ranks: match self.durations {
                Some(_) => longest.as_ref(),
                None => aggregated.as_ref(),
            },
            aggregated: aggregated.as_ref(),
        };
        chooser.offer((window.start, selected), located, groups, values)
    }
}

/// What was found out so far.
struct Aggregation<'a> {
    plan: &'a EncodedAggregate,
    columns: Vec<EncodedColumn>,
    filters: Vec<Cached<Truths>>,
    keys: Vec<Cached<KeyTable>>,
    intervals: Cached<Intervals>,
    value: Cached<ArrayRef>,
    cursor: IntervalCursor,
    grouping: Grouping,
    state: Box<dyn RangeState>,
    choice: Option<Choice>,
}

impl<'a> Aggregation<'a> {
    fn new(plan: &'a EncodedAggregate, choice: Option<Choice>) -> Self {
        Self {
            plan,
            choice,
            columns: Vec::new(),
            filters: Vec::new(),
            keys: Vec::new(),
            intervals: None,
            value: None,
            cursor: plan.arguments.cursor(),
            grouping: Grouping::new(&plan.key_types),
            state: plan.arguments.new_state(plan.kind),
        }
    }

    /// Goes on to another row group.
    fn open(&mut self, columns: Vec<EncodedColumn>) {
        self.columns = columns;
        self.filters = self.plan.filters.iter().map(|_| None).collect();
        self.keys = self.plan.keys.iter().map(|_| None).collect();
        self.intervals = None;
        self.value = None;
    }

    fn bytes(&self) -> usize {
        let choice = self.choice.as_ref();
        let chosen = choice.map_or(0, |choice| choice.chooser.bytes());
        self.grouping.bytes() + self.state.bytes() + chosen
    }

    /// Counts some rows from `start` on that are before `last`, and says which row is the next.
    async fn window(&mut self, start: usize, last: usize) -> Result<usize> {
        let rows = if self.plan.filters.is_empty() {
            WINDOW_ROWS
        } else {
            FILTERED_ROWS
        };
        let durations = self.choice.as_ref();
        let durations = durations.and_then(|choice| choice.durations.as_ref());
        let limit = durations.map_or(last, |durations| last.min(durations.page_end(start)));
        let end = window_end(self.columns.iter(), start, limit.min(start + rows));
        let mut window = Window::new(start, end, self.columns.len());
        let mut selected = Rows::All(window.rows);
        let plan = self.plan;
        for (filter, known) in plan.filters.iter().zip(&mut self.filters) {
            selected = selected.restrict(filter, known, (&mut window, &mut self.columns))?;
            if selected.len() == 0 {
                return Ok(end);
            }
        }
        let when = When::of(
            &selected,
            (&mut window, &mut self.columns),
            plan.time,
            (&mut self.intervals, &mut self.cursor),
        )?;
        if matches!(when, When::Same(None)) {
            return Ok(end);
        }
        let groups = self.groups(&mut window, &selected)?;
        let values = match &plan.value {
            None => None,
            Some(value) => {
                let (column, codes) = window.read(&mut self.columns, value.column, &selected)?;
                let by_code = cached(&mut self.value, column, |column| value.evaluate(column))?;
                Some(codes.pick(by_code, &selected)?)
            }
        };
        let moments = match &when {
            When::Same(interval) => Moments::Same {
                interval: interval.unwrap_or_default(),
                rows: selected.len(),
            },
            When::Each(intervals) => Moments::Intervals(intervals),
            When::Times(times) => Moments::Times(times),
        };
        self.state.grow(self.grouping.len());
        self.state
            .update(groups.as_deref(), moments, values.as_ref(), None)?;
        if let Some(choice) = &mut self.choice {
            let groups = (groups.as_deref(), &self.grouping);
            let values = values.as_ref();
            choice
                .offer(start..end, &selected, moments, groups, values)
                .await?;
        }
        Ok(end)
    }

    fn groups(&mut self, window: &mut Window, selected: &Rows) -> Result<Option<Vec<u32>>> {
        let mut numbers = Vec::with_capacity(self.keys.len());
        for (at, (key, known)) in self.plan.keys.iter().zip(&mut self.keys).enumerate() {
            let derived = match key {
                GroupKey::OfColumn(derived) => derived,
                GroupKey::Constant(value) => {
                    let mut table = KeyTable::try_new(value)?;
                    let number = self.grouping.look_up(at, &mut table, &[0_u32])?;
                    numbers.push(vec![number[0]; selected.len()]);
                    continue;
                }
            };
            let (column, codes) = window.read(&mut self.columns, derived.column, selected)?;
            let table = cached(known, column, |column| {
                KeyTable::try_new(&derived.evaluate(column)?)
            })?;
            numbers.push(match (codes, selected) {
                (Codes::Same(code), _) => {
                    let number = self.grouping.look_up(at, table, &[*code])?;
                    vec![number[0]; selected.len()]
                }
                (Codes::Each(codes), Rows::All(_)) => self.grouping.look_up(at, table, codes)?,
                (Codes::Narrow(codes), Rows::All(_)) => self.grouping.look_up(at, table, codes)?,
                _ => self.grouping.look_up(at, table, &codes.of(selected))?,
            });
        }
        Ok(self.grouping.combine(numbers))
    }
}

impl fmt::Display for EncodedAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |exprs: &mut dyn Iterator<Item = &Arc<dyn PhysicalExpr>>| {
            let texts: Vec<_> = exprs.map(ToString::to_string).collect();
            texts.join(", ")
        };
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| match key {
                GroupKey::Constant(_) => "NULL".to_owned(),
                GroupKey::OfColumn(derived) => derived.expr.to_string(),
            })
            .collect();
        write!(
            f,
            "EncodedAggregate: by=[{}], {}({}",
            keys.join(", "),
            self.kind.function_name(),
            self.columns.names.get(self.time).map_or("", String::as_str)
        )?;
        if let Some(value) = &self.value {
            write!(f, ", {}", value.expr)?;
        }
        writeln!(f, ")")?;
        let filters = list(&mut self.filters.iter().map(|filter| &filter.expr));
        if !filters.is_empty() {
            writeln!(f, "  filters=[{filters}]")?;
        }
        write!(f, "  columns=[{}]", self.columns.names.join(", "))?;
        for Remaining { row_group, rows } in &self.remaining {
            let count: usize = rows.iter().map(ExactSizeIterator::len).sum();
            write!(f, ", {count} rows of row group {row_group}")?;
        }
        writeln!(f)
    }
}
