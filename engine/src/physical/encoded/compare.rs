//! `EncodedCompare`: scan, filter and `compare()` over encoded columns.
//!
//! What [`Counter`](crate::compare::count::Counter) does with the batches of a plan, where all that is
//! asked for lies flat in a stored block: columns that are compared, and conditions of one column
//! each. The place of each row is found once for a window of rows. Then column by column codes are
//! counted as they are read, without those of rows that have no value; a value is looked at once for
//! each dictionary. Attributes without a column come in batches of lists beside them. Everything else
//! goes the general way, which is also what this one is tested against.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef};
use arrow::buffer::NullBuffer;
use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use datafusion::logical_expr::Expr;
use futures::try_join;
use storage::block::BlockFile;
use storage::block::encoded::{Bits, EncodedColumn, RowCodes};

use super::codes::Codes;
use super::lists::{Lists, Residual};
use super::plan::{EncodedColumns, Planner};
use super::window::{Cached, Intervals, OfColumn, Truths, When, Window, external, window_end};
use crate::aggregate::interval::{IntervalCursor, OUTSIDE};
use crate::compare::column::ColumnCounter;
use crate::compare::lowered::LoweredCompare;
use crate::compare::places::{Places, RowIntervals};
use crate::compare::residual::ResidualCounter;
use crate::compare::tally::Tally;
use crate::functions::range_udaf::RangeArguments;
use crate::lower::Selected;
use crate::rows::Rows;
use crate::scan::StoredRows;
use crate::types::Type;

/// Rows that are looked at together: few enough that their codes and places stay in the nearest
/// cache, many enough that what is done once per column and window does not count.
const WINDOW_ROWS: usize = 4096;
/// Windows after which other jobs get a turn.
const WINDOWS_AT_ONCE: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct EncodedCompare {
    file: BlockFile,
    row_groups: Vec<usize>,
    /// What tells where a row is counted.
    placing: EncodedColumns,
    /// Which of these has the times.
    time: usize,
    filters: Vec<OfColumn>,
    selection: Vec<OfColumn>,
    /// What is compared, each with the column of its own place.
    compared: Vec<ComparedColumn>,
    columns: EncodedColumns,
    residuals: Vec<Residual>,
    arguments: RangeArguments,
}

/// A column of values of one type of one attribute.
#[derive(Debug)]
struct ComparedColumn {
    attribute: Arc<str>,
    value_type: Type,
    derived: OfColumn,
    /// Whether the values are those of the column as they are.
    is_column: bool,
    /// Whether it may shadow an attribute in a list.
    is_shadow: bool,
}

impl EncodedCompare {
    /// The operator for a query over some row groups of a block, if it is one for them.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(crate) fn plan(
        selected: &Selected,
        compare: &LoweredCompare,
        stored: &StoredRows<'_>,
        session: &dyn Session,
    ) -> Result<Option<Self>> {
        let (Some(filter), Expr::Column(time), Ok(schema)) =
            (selected.condition(), &selected.time, stored.footer.schema())
        else {
            return Ok(None);
        };
        // What may fail is not to be asked of values that no span in the window has.
        if compare.selection.can_fail {
            return Ok(None);
        }
        let planner = || Planner::new(session, stored, schema);
        let mut placing = planner();
        let (Some(filters), Some(selection), Some(time)) = (
            placing.filters(filter)?,
            placing.conditions(std::iter::once(&compare.selection.expr))?,
            placing.column(&time.name),
        ) else {
            return Ok(None);
        };
        // Of a column that is counted, codes are read in another way than of one that tells places.
        let mut columns = planner();
        let mut values = Vec::new();
        for value in &compare.compared.values {
            let Some(derived) = columns.derived(&value.expr)? else {
                return Ok(None);
            };
            if derived.column < values.len() {
                return Ok(None);
            }
            values.push(ComparedColumn {
                attribute: Arc::clone(&value.attribute),
                value_type: value.value_type,
                derived,
                is_column: matches!(value.expr, Expr::Column(_)),
                is_shadow: false,
            });
        }
        let columns = columns.columns();
        let mut residuals = Vec::new();
        for column in &compare.compared.residuals {
            let Some(residual) = Residual::new(column, &columns) else {
                return Ok(None);
            };
            for shadow in residual.shadows.values().flatten() {
                values[*shadow].is_shadow = true;
            }
            residuals.push(residual);
        }
        Ok(Some(Self {
            file: stored.file.clone(),
            row_groups: stored.row_groups.to_vec(),
            placing: placing.columns(),
            time,
            filters,
            selection,
            compared: values,
            columns,
            residuals,
            arguments: selected.arguments,
        }))
    }

    /// Counts all of the row groups into a tally.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, or it takes more memory than allowed.
    pub(crate) async fn count(&self, pool: &Arc<dyn MemoryPool>, tally: Tally) -> Result<Tally> {
        let reservation = MemoryConsumer::new("EncodedCompare").register(pool);
        let mut comparison = Comparison::new(self, tally);
        let leaves = [&self.placing.leaves, &self.columns.leaves];
        let leaves: Vec<_> = leaves.into_iter().flatten().cloned().collect();
        let mut file = self.file.clone();
        let footer = file.footer().await.map_err(external)?;
        for &row_group in &self.row_groups {
            // Both are asked for at once, so that a distant store answers once.
            let (columns, mut lists) = try_join!(
                async {
                    let columns = EncodedColumn::open(&mut file, row_group, &leaves).await;
                    columns.map_err(external)
                },
                Lists::open(&self.file, row_group, &self.residuals),
            )?;
            comparison.open(columns);
            let rows = footer.metadata().row_group(row_group).num_rows();
            let rows = usize::try_from(rows).unwrap_or_default();
            let (mut row, mut windows) = (0, 0);
            while row < rows {
                lists.go_to(row).await?;
                row = comparison.window(row, rows, &lists)?;
                windows += 1;
                if windows % WINDOWS_AT_ONCE == 0 {
                    reservation.try_resize(comparison.checked_bytes()?)?;
                    tokio::task::yield_now().await;
                }
            }
            comparison.close()?;
            reservation.try_resize(comparison.checked_bytes()?)?;
        }
        Ok(comparison.tally)
    }
}

/// What was counted so far.
struct Comparison<'a> {
    plan: &'a EncodedCompare,
    placing: Vec<EncodedColumn>,
    filters: Vec<Cached<Truths>>,
    selection: Vec<Cached<Truths>>,
    intervals: Cached<Intervals>,
    cursor: IntervalCursor,
    counted: Vec<Counted<'a>>,
    columns: Vec<EncodedColumn>,
    residuals: Vec<ResidualCounter>,
    codes: RowCodes,
    tally: Tally,
}

/// A column that is compared.
struct Counted<'a> {
    value: &'a ComparedColumn,
    counter: ColumnCounter,
    /// What its rows have, by code.
    values: Cached<ArrayRef>,
    /// Which rows of the window have a value, where it may shadow another.
    present: Bits,
}

impl<'a> Comparison<'a> {
    fn new(plan: &'a EncodedCompare, mut tally: Tally) -> Self {
        let counted = plan.compared.iter().map(|value| {
            let attribute = tally.attribute(&value.attribute);
            Counted {
                value,
                counter: ColumnCounter::new(attribute, value.value_type, tally.grid()),
                values: None,
                present: Bits::default(),
            }
        });
        let residuals = plan.residuals.iter();
        let residuals = residuals.map(|r| ResidualCounter::new(Arc::clone(&r.column)));
        Self {
            residuals: residuals.collect(),
            counted: counted.collect(),
            plan,
            placing: Vec::new(),
            filters: Vec::new(),
            selection: Vec::new(),
            intervals: None,
            cursor: plan.arguments.cursor(),
            columns: Vec::new(),
            codes: RowCodes::default(),
            tally,
        }
    }

    /// Goes on to another row group: columns that tell places, then those that are compared.
    fn open(&mut self, mut columns: Vec<EncodedColumn>) {
        self.columns = columns.split_off(self.plan.placing.leaves.len());
        self.placing = columns;
        self.filters = self.plan.filters.iter().map(|_| None).collect();
        self.selection = self.plan.selection.iter().map(|_| None).collect();
        self.intervals = None;
    }

    /// Is done with a row group.
    fn close(&mut self) -> Result<()> {
        for counted in &mut self.counted {
            counted.counter.drain(&mut self.tally)?;
            counted.values = None;
        }
        Ok(())
    }

    /// Bytes that are held, if they are no more than may be.
    fn checked_bytes(&self) -> Result<usize> {
        let counters = self.counted.iter().map(|counted| counted.counter.bytes());
        let held = self.tally.bytes() + counters.sum::<usize>();
        let checked = self.tally.check(held);
        checked.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(held)
    }

    /// Counts some rows from `start` on, and says which row is the next.
    fn window(&mut self, start: usize, rows: usize, lists: &Lists) -> Result<usize> {
        let columns = self.placing.iter().chain(&self.columns);
        let limit = rows.min(start + WINDOW_ROWS);
        let limit = lists.end().map_or(limit, |end| limit.min(end));
        let end = window_end(columns, start, limit);
        let Some(places) = self.places(start, end)? else {
            return Ok(end);
        };
        for (counted, column) in self.counted.iter_mut().zip(&mut self.columns) {
            column.seek(start).map_err(external)?;
            counted.add(
                column,
                end - start,
                &places,
                &mut self.codes,
                &mut self.tally,
            )?;
        }
        for (counter, residual) in self.residuals.iter_mut().zip(&self.plan.residuals) {
            let counted = &self.counted;
            let is_shadowed = |key: &str, row| {
                let mut columns = residual.shadows.get(key).into_iter().flatten();
                columns.any(|&column| counted[column].present.get(row))
            };
            let lists = lists.of(residual.column.name, &(start..end))?;
            counter.add_lists(&lists, is_shadowed, &places, &mut self.tally)?;
        }
        Ok(end)
    }

    /// Where the rows from `start` to `end` are counted; `None` if nowhere.
    fn places(&mut self, start: usize, end: usize) -> Result<Option<Places>> {
        let mut window = Window::new(start, end, self.placing.len());
        let mut kept = Rows::All(window.rows);
        for (filter, known) in self.plan.filters.iter().zip(&mut self.filters) {
            kept = kept.restrict(filter, known, (&mut window, &mut self.placing))?;
            if kept.len() == 0 {
                return Ok(None);
            }
        }
        let when = When::of(
            &Rows::All(window.rows),
            (&mut window, &mut self.placing),
            self.plan.time,
            (&mut self.intervals, &mut self.cursor),
        )?;
        let intervals = match when {
            When::Same(None) => return Ok(None),
            When::Same(Some(interval)) => {
                RowIntervals::Same(u32::try_from(interval).unwrap_or(OUTSIDE))
            }
            When::Each(intervals) => RowIntervals::Each(intervals),
            When::Times(times) => {
                let find = |time| {
                    let interval = self.cursor.find(time);
                    let interval = interval.and_then(|interval| u32::try_from(interval).ok());
                    interval.unwrap_or(OUTSIDE)
                };
                RowIntervals::Each(times.into_iter().map(find).collect())
            }
        };
        let mut selected = Rows::All(window.rows);
        for (condition, known) in self.plan.selection.iter().zip(&mut self.selection) {
            selected = selected.restrict(condition, known, (&mut window, &mut self.placing))?;
        }
        let [kept, selected] = [kept, selected].map(|rows| match rows {
            Rows::All(rows) => Bits::same(true, rows),
            Rows::Some(some) => Bits::listed(&some, window.rows),
        });
        let places = Places::new(kept, selected, intervals);
        Ok((!places.is_empty()).then_some(places))
    }
}

/// The rows that have a value.
fn present(nulls: Option<&NullBuffer>, rows: usize) -> Bits {
    let Some(nulls) = nulls else {
        return Bits::same(true, rows);
    };
    let present: Vec<u32> = (0..)
        .zip(nulls.iter())
        .filter_map(|(row, there)| there.then_some(row))
        .collect();
    Bits::listed(&present, rows)
}

impl Counted<'_> {
    /// Counts the next rows of the column.
    fn add(
        &mut self,
        column: &mut EncodedColumn,
        rows: usize,
        places: &Places,
        codes: &mut RowCodes,
        tally: &mut Tally,
    ) -> Result<()> {
        let generation = column.generation();
        let is_known = matches!(&self.values, Some((of, _)) if *of == generation);
        if !is_known {
            let values = if self.value.is_column {
                Arc::clone(column.values())
            } else {
                self.value.derived.evaluate(column)?
            };
            // Where each row has a value of its own, there is no use in counting by code.
            if column.place().is_none() {
                self.counter.begin(Arc::clone(&values), tally)?;
            }
            self.values = Some((generation, values));
        }
        let Some((_, values)) = &self.values else {
            return Ok(());
        };
        if let Some(first) = column.place() {
            let values = values.slice(first, rows);
            if self.value.is_shadow {
                self.present = present(values.nulls(), rows);
            }
            return self.counter.add_values(&values, places, tally);
        }
        if self.value.is_column {
            column.read_rows(rows, codes).map_err(external)?;
        } else {
            // What is derived may be a value where the column has none.
            let all = Rows::All(rows);
            match Codes::read(column, rows, &all).map_err(external)? {
                Codes::Same(code) => codes.set_same(code, rows),
                read => codes.set_each(&read.of(&all), None::<fn(usize) -> bool>),
            }
        }
        if self.value.is_shadow {
            self.present = codes.presence();
        }
        self.counter.add_codes(codes, values.len(), places, tally)
    }
}

impl fmt::Display for EncodedCompare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |conditions: &[OfColumn]| {
            let texts: Vec<_> = conditions.iter().map(|c| c.expr.to_string()).collect();
            texts.join(", ")
        };
        writeln!(f, "EncodedCompare: selection=[{}]", list(&self.selection))?;
        if !self.filters.is_empty() {
            writeln!(f, "  filters=[{}]", list(&self.filters))?;
        }
        writeln!(
            f,
            "  places by=[{}], compared=[{}], row groups={:?}",
            self.placing.names.join(", "),
            self.columns.names.join(", "),
            self.row_groups
        )
    }
}
