//! `EncodedTraces`: which traces have a span that meets some conditions, found over encoded columns.
//!
//! For conditions of one column each, which a dictionary often answers alone. A block that has none of
//! a search's traces costs little more than that, where a plan of DataFusion's costs a hundred times as
//! much to make. Everything else goes the general way, which is also what this one is tested against.

use arrow::array::AsArray as _;
use datafusion::catalog::Session;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use hashbrown::HashSet;
use storage::block::BlockFile;
use storage::block::encoded::EncodedColumn;
use storage::ids::TraceId;
use storage::schema::names;

use super::page_index::{Remaining, remaining};
use super::plan::{EncodedColumns, Planner};
use super::window::{OfColumn, Window, external, window_end};
use crate::rows::Rows;
use crate::scan::StoredRows;

/// Rows that are looked at together.
const WINDOW_ROWS: usize = 8192;
/// Windows after which other jobs get a turn.
const WINDOWS_AT_ONCE: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct EncodedTraces {
    file: BlockFile,
    remaining: Vec<Remaining>,
    columns: EncodedColumns,
    filters: Vec<OfColumn>,
    /// The column of trace ids alone.
    ids: EncodedColumns,
}

impl EncodedTraces {
    /// The operator for a condition and some row groups of a block, if it is one for them.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(crate) fn plan(
        condition: &Expr,
        stored: &StoredRows<'_>,
        session: &dyn Session,
    ) -> Result<Option<Self>> {
        let schema = stored.footer.schema()?;
        let mut planner = Planner::new(session, stored, schema);
        let mut ids = Planner::new(session, stored, schema);
        let (Some(filters), Some(_)) = (
            planner.filters(Some(condition))?,
            ids.column(names::TRACE_ID),
        ) else {
            return Ok(None);
        };
        let conditions = filters.iter().map(|filter| (&filter.expr, &filter.schema));
        Ok(Some(Self {
            file: stored.file.clone(),
            remaining: remaining(stored.footer, stored.row_groups, conditions)?,
            columns: planner.columns(),
            filters,
            ids: ids.columns(),
        }))
    }

    /// The traces; `None` if there are more than `most`.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(crate) async fn find(&self, most: usize) -> Result<Option<HashSet<TraceId>>> {
        let mut found = HashSet::new();
        let mut file = self.file.clone();
        for Remaining { row_group, rows } in &self.remaining {
            let columns = EncodedColumn::open(&mut file, *row_group, &self.columns.leaves).await;
            let mut columns = columns.map_err(external)?;
            let mut known: Vec<_> = self.filters.iter().map(|_| None).collect();
            // Opened with the first row that is left: mostly there is none.
            let mut ids = None;
            let mut windows = 0;
            for rows in rows {
                let mut row = rows.start;
                while row < rows.end {
                    let end = window_end(columns.iter(), row, rows.end.min(row + WINDOW_ROWS));
                    let mut window = Window::new(row, end, columns.len());
                    let mut selected = Rows::All(window.rows);
                    for (filter, known) in self.filters.iter().zip(&mut known) {
                        if selected.len() > 0 {
                            selected =
                                selected.restrict(filter, known, (&mut window, &mut columns))?;
                        }
                    }
                    if selected.len() > 0 {
                        let ids = match &mut ids {
                            Some(ids) => ids,
                            None => ids.insert(self.open_ids(&mut file, *row_group).await?),
                        };
                        add(ids, row, &selected, &mut found)?;
                        if found.len() > most {
                            return Ok(None);
                        }
                    }
                    row = end;
                    windows += 1;
                    if windows % WINDOWS_AT_ONCE == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
        Ok(Some(found))
    }

    async fn open_ids(&self, file: &mut BlockFile, row_group: usize) -> Result<EncodedColumn> {
        let opened = EncodedColumn::open(file, row_group, &self.ids.leaves).await;
        match opened.map_err(external)?.pop() {
            Some(ids) => Ok(ids),
            None => internal_err!("a column that was opened is there"),
        }
    }
}

/// Adds the trace ids of some rows from `first` on.
fn add(
    ids: &mut EncodedColumn,
    first: usize,
    rows: &Rows,
    found: &mut HashSet<TraceId>,
) -> Result<()> {
    let mut last = None;
    rows.each(|row| {
        ids.seek(first + row).map_err(external)?;
        let mut code = [0];
        ids.read(&mut code).map_err(external)?;
        let place = usize::try_from(code[0]).unwrap_or(usize::MAX);
        let id = ids.values().as_fixed_size_binary().value(place);
        let Ok(id) = id.try_into().map(TraceId) else {
            return internal_err!("a trace id has 16 bytes");
        };
        // The spans of a trace lie together.
        if last != Some(id) {
            found.insert(id);
            last = Some(id);
        }
        Ok(())
    })
}
