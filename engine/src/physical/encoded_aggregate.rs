//! `EncodedAggregate`: scan, filter, grouping and range aggregation over encoded columns.
//!
//! It does what DataFusion's scan and filter and [`RangeAggregateExec`](super::RangeAggregateExec) do
//! together, where each condition and key is of one column that lies flat in a stored block. Then
//! everything about a value is found out once per value of a dictionary (whether a condition holds, of
//! which group it is, in which interval), and a row costs a look-up by its code. Columns are read as
//! far as rows are left: conditions first, and of the others only the pages that have such rows.
//!
//! Everything else goes the general way, which is also what this one is tested against.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_expr::PhysicalExpr;
use storage::StorageError;
use storage::block::BlockFile;
use storage::block::encoded::{EncodedColumn, can_read};
use storage::block::footer::BlockFooter;

use super::encoded_window::{Codes, Derived, Intervals, Rows, When};
use super::grouping::Grouping;
use super::interner::KeyTable;
use super::page_index::{Remaining, remaining};
use super::range_aggregate::Groups;
use crate::aggregate::interval::{IntervalCursor, Moments};
use crate::aggregate::{RangeState, StateKind};
use crate::batch::Evaluation;
use crate::functions::range_udaf::RangeArguments;
use crate::lower::{Lowered, Stage, column_names};

/// Rows that are looked at together: few enough that their codes stay in the nearest cache.
const WINDOW_ROWS: usize = 2048;
/// Windows after which other jobs get a turn.
const WINDOWS_AT_ONCE: usize = 64;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct EncodedAggregate {
    file: BlockFile,
    remaining: Vec<Remaining>,
    /// What is read: names, and leaf columns of the file with their types.
    names: Vec<String>,
    leaves: Vec<(usize, DataType)>,
    filters: Vec<Derived>,
    keys: Vec<Key>,
    /// Types of the key columns.
    key_types: Vec<DataType>,
    /// The column of times.
    time: usize,
    value: Option<Derived>,
    kind: StateKind,
    arguments: RangeArguments,
}

#[derive(Debug, Clone)]
enum Key {
    /// One for all rows.
    Constant(ArrayRef),
    Derived(Derived),
}

/// Gathers what expressions need while they are made ready.
struct Planner<'a> {
    session: &'a dyn Session,
    footer: &'a BlockFooter,
    schema: &'a Schema,
    row_groups: &'a [usize],
    names: Vec<String>,
    leaves: Vec<(usize, DataType)>,
}

impl Planner<'_> {
    /// Where a column will be among those read; `None` if it is not one that can be.
    fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.names.iter().position(|known| known == name) {
            return Some(known);
        }
        let data_type = self.schema.field_with_name(name).ok()?.data_type();
        let metadata = self.footer.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let leaf = columns
            .iter()
            .position(|column| column.path().parts() == [name])?;
        let mut groups = self.row_groups.iter();
        if !groups.all(|&group| can_read(metadata, group, leaf, data_type)) {
            return None;
        }
        self.names.push(name.to_owned());
        self.leaves.push((leaf, data_type.clone()));
        Some(self.names.len() - 1)
    }

    /// An expression of one column; `None` if it is not that.
    fn derived(&mut self, expr: &Expr) -> Result<Option<Derived>> {
        let names = column_names([expr].into_iter());
        let mut names = names.iter();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Ok(None);
        };
        let Some(column) = self.column(name) else {
            return Ok(None);
        };
        let field = self.schema.field_with_name(name)?.clone();
        let schema = Arc::new(Schema::new(vec![field]));
        let expr = Evaluation::try_new(&schema, self.session)?.of(expr)?;
        Ok(Some(Derived {
            column,
            expr,
            schema,
        }))
    }
}

impl EncodedAggregate {
    /// The operator for a query over some row groups of a block, if it is one for them.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(crate) fn plan(
        lowered: &Lowered,
        (file, footer, row_groups): (&BlockFile, &BlockFooter, &[usize]),
        session: &dyn Session,
    ) -> Result<Option<Self>> {
        let (
            Some(filter),
            Stage::Aggregate {
                keys, value, kind, ..
            },
            Expr::Column(time),
            Ok(schema),
        ) = (
            lowered.filter(),
            &lowered.stage,
            lowered.time(),
            footer.schema(),
        )
        else {
            return Ok(None);
        };
        let mut planner = Planner {
            session,
            footer,
            schema,
            row_groups,
            names: Vec::new(),
            leaves: Vec::new(),
        };
        let mut filters = Vec::new();
        for condition in filter.into_iter().flat_map(split_conjunction) {
            let Some(condition) = planner.derived(condition)? else {
                return Ok(None);
            };
            filters.push(condition);
        }
        let (mut own_keys, mut key_types) = (Vec::new(), Vec::new());
        for key in keys {
            if let Expr::Literal(value, _) = key {
                key_types.push(value.data_type());
                own_keys.push(Key::Constant(value.to_array_of_size(1)?));
                continue;
            }
            let Some(key) = planner.derived(key)? else {
                return Ok(None);
            };
            key_types.push(key.expr.data_type(&key.schema)?);
            own_keys.push(Key::Derived(key));
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
        // A condition on a dictionary is cheaper than one on each row's own value.
        let bytes = |derived: &Derived| {
            let (leaf, _) = planner.leaves.get(derived.column)?;
            let group = footer.metadata().row_groups().get(*row_groups.first()?)?;
            Some(group.columns().get(*leaf)?.uncompressed_size())
        };
        filters.sort_by_key(bytes);
        let (start, end) = (lit(lowered.arguments.start), lit(lowered.arguments.end()));
        let time_is_inside = lowered
            .time()
            .clone()
            .gt(start)
            .and(lowered.time().clone().lt_eq(end));
        // Looked at by the page only: what each row's time comes to is found anyhow.
        let inside = planner.derived(&time_is_inside)?;
        let conditions = filters.iter().chain(&inside);
        let conditions = conditions.map(|condition| (&condition.expr, &condition.schema));
        Ok(Some(Self {
            file: file.clone(),
            remaining: remaining(footer, row_groups, conditions)?,
            names: planner.names,
            leaves: planner.leaves,
            filters,
            keys: own_keys,
            key_types,
            time,
            value,
            kind: *kind,
            arguments: lowered.arguments,
        }))
    }

    /// Aggregates all of the row groups.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, or it takes more memory than allowed.
    pub(crate) async fn aggregate(&self, pool: &Arc<dyn MemoryPool>) -> Result<Groups> {
        let reservation = MemoryConsumer::new("EncodedAggregate").register(pool);
        let mut aggregation = Aggregation::new(self);
        let mut file = self.file.clone();
        for Remaining { row_group, rows } in &self.remaining {
            let columns = EncodedColumn::open(&mut file, *row_group, &self.leaves).await;
            aggregation.open(columns.map_err(external)?);
            let mut windows = 0;
            for rows in rows {
                let mut row = rows.start;
                while row < rows.end {
                    row = aggregation.window(row, rows.end)?;
                    windows += 1;
                    if windows % WINDOWS_AT_ONCE == 0 {
                        reservation.try_resize(aggregation.bytes())?;
                        tokio::task::yield_now().await;
                    }
                }
            }
            reservation.try_resize(aggregation.bytes())?;
        }
        Ok(Groups {
            keys: aggregation.grouping.keys()?,
            state: aggregation.state,
        })
    }
}

fn external(error: StorageError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A table by code, and the values that it is of.
type Cached<T> = Option<(u64, T)>;

/// What was found out so far.
struct Aggregation<'a> {
    plan: &'a EncodedAggregate,
    columns: Vec<EncodedColumn>,
    filters: Vec<Cached<Vec<bool>>>,
    keys: Vec<Cached<KeyTable>>,
    intervals: Cached<Intervals>,
    value: Cached<ArrayRef>,
    cursor: IntervalCursor,
    grouping: Grouping,
    state: Box<dyn RangeState>,
}

impl<'a> Aggregation<'a> {
    fn new(plan: &'a EncodedAggregate) -> Self {
        Self {
            plan,
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
        self.grouping.bytes() + self.state.bytes()
    }

    /// Counts some rows from `start` on that are before `last`, and says which row is the next.
    fn window(&mut self, start: usize, last: usize) -> Result<usize> {
        let ends = self.columns.iter().map(|column| column.page_end(start));
        let limit = last.min(start + WINDOW_ROWS);
        // No page ends where it starts; but if one did, this would never end.
        let end = ends.fold(limit, usize::min).max(start + 1);
        let mut window = Window {
            start,
            rows: end - start,
            codes: self.columns.iter().map(|_| None).collect(),
        };
        let mut selected = Rows::All(window.rows);
        let plan = self.plan;
        for (filter, known) in plan.filters.iter().zip(&mut self.filters) {
            let (column, codes) = window.read(&mut self.columns, filter.column)?;
            let keep = cached(known, column, |column| filter.truths(column))?;
            selected = selected.filter(codes, keep);
            if selected.len() == 0 {
                return Ok(end);
            }
        }
        let when = self.when(&mut window, &selected)?;
        if matches!(when, When::Same(None)) {
            return Ok(end);
        }
        let groups = self.groups(&mut window, &selected)?;
        let values = match &plan.value {
            None => None,
            Some(value) => {
                let (column, codes) = window.read(&mut self.columns, value.column)?;
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
        Ok(end)
    }

    fn when(&mut self, window: &mut Window, selected: &Rows) -> Result<When> {
        let (column, codes) = window.read(&mut self.columns, self.plan.time)?;
        if matches!(codes, Codes::From(_)) {
            let times = codes.pick(column.values(), selected)?;
            let times = times.as_primitive::<Int64Type>().values();
            return Ok(When::Times(times.to_vec()));
        }
        let cursor = &mut self.cursor;
        let intervals = cached(&mut self.intervals, column, |column| {
            Intervals::new(column.values(), cursor)
        })?;
        Ok(intervals.of(codes, selected))
    }

    fn groups(&mut self, window: &mut Window, selected: &Rows) -> Result<Option<Vec<u32>>> {
        let mut numbers = Vec::with_capacity(self.keys.len());
        for (at, (key, known)) in self.plan.keys.iter().zip(&mut self.keys).enumerate() {
            let derived = match key {
                Key::Derived(derived) => derived,
                Key::Constant(value) => {
                    let mut table = KeyTable::try_new(value)?;
                    let number = self.grouping.look_up(at, &mut table, &[0])?;
                    numbers.push(vec![number[0]; selected.len()]);
                    continue;
                }
            };
            let (column, codes) = window.read(&mut self.columns, derived.column)?;
            let table = cached(known, column, |column| {
                KeyTable::try_new(&derived.evaluate(column)?)
            })?;
            numbers.push(match (codes, selected) {
                (Codes::Same(code), _) => {
                    let number = self.grouping.look_up(at, table, &[*code])?;
                    vec![number[0]; selected.len()]
                }
                (Codes::Each(codes), Rows::All(_)) => self.grouping.look_up(at, table, codes)?,
                _ => self.grouping.look_up(at, table, &codes.of(selected))?,
            });
        }
        Ok(self.grouping.combine(numbers))
    }
}

/// What is known by code, found out again if the values are others.
fn cached<'a, T>(
    known: &'a mut Cached<T>,
    column: &EncodedColumn,
    make: impl FnOnce(&EncodedColumn) -> Result<T>,
) -> Result<&'a mut T> {
    let generation = column.generation();
    let made = match known.take() {
        Some((of, made)) if of == generation => made,
        _ => make(column)?,
    };
    Ok(&mut known.insert((generation, made)).1)
}

/// Some neighbouring rows, of which columns are read as they are needed.
struct Window {
    start: usize,
    rows: usize,
    codes: Vec<Option<Codes>>,
}

impl Window {
    fn read<'c>(
        &mut self,
        columns: &'c mut [EncodedColumn],
        index: usize,
    ) -> Result<(&'c EncodedColumn, &Codes)> {
        let column = &mut columns[index];
        let codes = &mut self.codes[index];
        let codes = match codes.take() {
            Some(read) => codes.insert(read),
            None => {
                column.seek(self.start).map_err(external)?;
                codes.insert(Codes::read(column, self.rows).map_err(external)?)
            }
        };
        Ok((column, codes))
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
                Key::Constant(_) => "NULL".to_owned(),
                Key::Derived(derived) => derived.expr.to_string(),
            })
            .collect();
        write!(
            f,
            "EncodedAggregate: by=[{}], {}({}",
            keys.join(", "),
            self.kind.function_name(),
            self.names.get(self.time).map_or("", String::as_str)
        )?;
        if let Some(value) = &self.value {
            write!(f, ", {}", value.expr)?;
        }
        writeln!(f, ")")?;
        let filters = list(&mut self.filters.iter().map(|filter| &filter.expr));
        if !filters.is_empty() {
            writeln!(f, "  filters=[{filters}]")?;
        }
        write!(f, "  columns=[{}]", self.names.join(", "))?;
        for Remaining { row_group, rows } in &self.remaining {
            let count: usize = rows.iter().map(ExactSizeIterator::len).sum();
            write!(f, ", {count} rows of row group {row_group}")?;
        }
        writeln!(f)
    }
}
