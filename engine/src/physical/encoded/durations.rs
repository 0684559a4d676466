//! How long spans took, looked at as little as can be.
//!
//! Of a query that only counts, durations are wanted but for the slowest spans that it shows. The page
//! index knows the longest of each page, so a page is read only if it can have one of these, and of a page
//! that was read the longest of each zone is known.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::error::Result;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use storage::block::encoded::{EncodedColumn, Peak, can_read, page_bounds};
use storage::block::footer::BlockFooter;
use storage::block::{BlockFile, read_rows};
use storage::schema::names;

use super::window::{Window, external};
use crate::batch::named;
use crate::exemplars::chooser::Chooser;
use crate::exemplars::values::{Located, RowValues};
use crate::index::index;
use crate::rows::Rows;

/// The durations of a row group's spans, read forwards.
pub(in crate::physical) struct Durations {
    file: BlockFile,
    footer: Arc<BlockFooter>,
    row_group: usize,
    pages: Vec<Page>,
    /// Once one is wanted.
    column: Option<Column>,
}

/// A page, and the longest duration in it as far as that is known.
#[derive(Debug, Clone, Copy)]
struct Page {
    end: usize,
    longest: i64,
}

enum Column {
    Encoded(Box<EncodedColumn>),
    /// It has another form than operators over encoded columns read.
    Other,
}

impl Durations {
    /// Of a block; no row group is open yet.
    ///
    /// # Errors
    /// If the store fails, or the footer is damaged.
    pub(in crate::physical) async fn of(mut file: BlockFile) -> Result<Self> {
        Ok(Self {
            footer: file.footer().await.map_err(external)?,
            file,
            row_group: 0,
            pages: Vec::new(),
            column: None,
        })
    }

    /// The rows of the block's row groups.
    pub(in crate::physical) fn row_groups(&self) -> Vec<Range<usize>> {
        crate::scan::row_groups(&self.footer).collect()
    }

    /// Goes on to a row group.
    pub(in crate::physical) fn open(&mut self, row_group: usize) {
        self.row_group = row_group;
        self.column = None;
        self.pages = pages(&self.footer, row_group).unwrap_or_else(|| {
            let rows = self.footer.metadata().row_group(row_group).num_rows();
            vec![Page {
                end: usize::try_from(rows).unwrap_or(usize::MAX),
                longest: i64::MAX,
            }]
        });
    }

    /// Where the page of a row ends.
    pub(in crate::physical) fn page_end(&self, row: usize) -> usize {
        self.page(row).map_or(usize::MAX, |page| page.end)
    }

    /// A duration that none of a row's page exceeds.
    fn longest(&self, row: usize) -> i64 {
        self.page(row).map_or(i64::MAX, |page| page.longest)
    }

    fn page(&self, row: usize) -> Option<&Page> {
        let page = self.pages.partition_point(|page| page.end <= row);
        self.pages.get(page)
    }

    /// The durations of some of the rows of a window, which is of one page and behind all that were asked
    /// for before, as far as the `chooser` can want one for the longest of its interval; `None` if it
    /// cannot.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(in crate::physical) async fn wanted(
        &mut self,
        window: Range<usize>,
        rows: &Rows,
        located: Located<'_>,
        chooser: &Chooser,
    ) -> Result<Option<RowValues>> {
        if !chooser.wants(located, self.longest(window.start)) {
            return Ok(None);
        }
        let mut column = match self.column.take() {
            Some(column) => column,
            None => self.open_column().await?,
        };
        let durations = match &mut column {
            Column::Encoded(column) => encoded(column, window, rows, located, chooser)?,
            Column::Other => Some(self.read_other(window.start, rows).await?),
        };
        self.column = Some(column);
        Ok(durations)
    }

    async fn open_column(&mut self) -> Result<Column> {
        let metadata = self.footer.metadata();
        let leaf = self.footer.leaf(names::DURATION);
        let leaf = leaf.filter(|leaf| can_read(metadata, self.row_group, *leaf, &DataType::Int64));
        let Some(leaf) = leaf else {
            return Ok(Column::Other);
        };
        let column = [(leaf, DataType::Int64)];
        let opened = EncodedColumn::open(&mut self.file, self.row_group, &column).await;
        let opened = opened.map_err(external)?.pop();
        Ok(opened.map_or(Column::Other, |opened| Column::Encoded(Box::new(opened))))
    }

    async fn read_other(&mut self, start: usize, rows: &Rows) -> Result<RowValues> {
        let ranges: Vec<Range<usize>> = match rows {
            Rows::All(count) => std::iter::once(start..start + count).collect(),
            Rows::Some(rows) => {
                let rows = rows.iter().map(|row| start + index(*row));
                rows.map(|row| row..row + 1).collect()
            }
        };
        let wanted = |name: &str| name == names::DURATION;
        let read = read_rows(&mut self.file, self.row_group, &ranges, &wanted).await;
        let read = read.map_err(external)?;
        RowValues::try_new(named(&read, names::DURATION)?)
    }
}

/// What [`Durations::wanted`] gives, out of a column that is read as it is encoded.
fn encoded(
    column: &mut EncodedColumn,
    window: Range<usize>,
    rows: &Rows,
    located: Located<'_>,
    chooser: &Chooser,
) -> Result<Option<RowValues>> {
    column.seek(window.start).map_err(external)?;
    let peaks = column.peaks();
    let first = peaks.partition_point(|peak| peak.zone.end <= window.start);
    let peaks = peaks.get(first..).unwrap_or_default();
    let end = peaks.partition_point(|peak| peak.zone.start < window.end);
    let peaks = peaks.get(..end).unwrap_or_default();
    // Of equal ones the first.
    let longest = peaks.iter().rev().max_by_key(|peak| peak.value);
    if let Some(Peak { row, value, .. }) = longest {
        if !chooser.wants(located, *value) {
            return Ok(None);
        }
        // Zones may reach beyond the window, but what is the longest of all is the longest of it.
        if let (Rows::All(_), Located::One(_)) = (rows, located)
            && window.contains(row)
        {
            let at = row - window.start;
            return Ok(Some(RowValues::Largest { at, value: *value }));
        }
    }
    let columns = std::slice::from_mut(column);
    let mut window = Window::new(window.start, window.end, columns.len());
    let (column, codes) = window.read(columns, 0, rows)?;
    let durations = codes.pick(column.values(), rows)?;
    RowValues::try_new(&durations).map(Some)
}

/// The pages of a row group's durations; `None` if the page index does not say.
fn pages(footer: &BlockFooter, row_group: usize) -> Option<Vec<Page>> {
    let (leaf, metadata) = (footer.leaf(names::DURATION)?, footer.metadata());
    let ColumnIndexMetaData::INT64(index) = metadata.column_index()?.get(row_group)?.get(leaf)?
    else {
        return None;
    };
    let bounds = page_bounds(metadata, row_group, leaf)?;
    let ends = bounds.into_iter().skip(1).enumerate();
    let page = |(page, end)| Page {
        end,
        longest: index.max_value(page).copied().unwrap_or(i64::MAX),
    };
    Some(ends.map(page).collect())
}
