//! A page of a column chunk: which code each of its rows has.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;
use parquet::errors::Result;

use super::peaks::{self, Peak};
use super::row_codes::{RowCodes, largest};
use crate::block::hybrid::Hybrid;
use crate::block::read::page_reader::damaged;

/// The page that is being read.
pub(super) struct Loaded {
    pub(super) rows: Range<usize>,
    /// The row whose code is read next.
    pub(super) row: usize,
    pub(super) values: ArrayRef,
    /// A number that is another one for other values.
    pub(super) generation: u64,
    pub(super) codes: PageCodes,
    pub(super) peaks: Arc<OnceLock<Box<[Peak]>>>,
}

/// A page that was decoded, of which nothing was read. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct PageContent {
    pub(super) values: ArrayRef,
    pub(super) codes: PageCodes,
    /// Whether the values are of this page alone.
    pub(super) is_own: bool,
    /// Bytes of memory that the page takes, without a dictionary.
    pub(super) bytes: usize,
    /// Its largest numbers, once somebody has asked.
    pub(super) peaks: Arc<OnceLock<Box<[Peak]>>>,
}

#[derive(Debug, Clone)]
pub(super) enum PageCodes {
    /// The code of a row is its place in the page.
    Place,
    Coded {
        codes: Hybrid,
        /// Definition levels: 1 where a row has a code. Always read along.
        present: Option<Hybrid>,
    },
}

impl Loaded {
    /// Goes forwards to a row.
    pub(super) fn skip_to(&mut self, row: usize) -> Result<()> {
        let count = row
            .checked_sub(self.row)
            .ok_or_else(|| damaged("rows are read in order"))?;
        if let PageCodes::Coded { codes, present } = &mut self.codes {
            let with_code = match present {
                None => count,
                Some(present) => skip_levels(present, count)?,
            };
            codes.skip(with_code)?;
        }
        self.row = row;
        Ok(())
    }

    /// The largest numbers of the page, zone by zone; none if not each row has its own number.
    pub(super) fn peaks(&self) -> &[Peak] {
        match self.codes {
            PageCodes::Place => self
                .peaks
                .get_or_init(|| peaks::find(&self.values, self.rows.start)),
            PageCodes::Coded { .. } => &[],
        }
    }

    /// The code of rows that have no value.
    pub(super) fn null(&self) -> Result<u32> {
        Ok(u32::try_from(self.values.len().saturating_sub(1))?)
    }

    /// The code that the next rows all have, if that can be seen without reading theirs.
    pub(super) fn repeated(&mut self, rows: usize) -> Result<Option<u32>> {
        let null = self.null()?;
        let PageCodes::Coded { codes, present } = &mut self.codes else {
            return Ok(None);
        };
        let repeated = match present {
            None => codes.repeated(rows)?,
            Some(present) => match present.repeated(rows)? {
                Some(0) => Some(null),
                Some(_) => codes.repeated(rows)?,
                None => None,
            },
        };
        self.expect_value(repeated)?;
        Ok(repeated)
    }

    /// Makes sure that so many rows are left of the page.
    fn expect_rows(&self, count: usize) -> Result<()> {
        if count > self.rows.end - self.row {
            return Err(damaged("rows are read page by page"));
        }
        Ok(())
    }

    /// Makes sure that the largest of some codes, if there are any, has a value.
    fn expect_value(&self, largest: Option<u32>) -> Result<()> {
        match largest {
            Some(code) if usize::try_from(code)? >= self.values.len() => {
                Err(damaged("a code without a value"))
            }
            _ => Ok(()),
        }
    }

    /// Reads the codes of the next rows.
    pub(super) fn read(&mut self, out: &mut [u32]) -> Result<()> {
        let count = out.len();
        self.expect_rows(count)?;
        let null = self.null()?;
        match &mut self.codes {
            PageCodes::Place => {
                let first = u32::try_from(self.row - self.rows.start)?;
                for (code, slot) in (first..).zip(out.iter_mut()) {
                    *slot = code;
                }
            }
            PageCodes::Coded {
                codes,
                present: None,
            } => codes.read(out)?,
            PageCodes::Coded {
                codes,
                present: Some(present),
            } => read_present(codes, present, null, out)?,
        }
        self.row += count;
        self.expect_value(largest(out))
    }

    /// Reads the codes of so many next rows, if they fit into bytes and every row has one.
    pub(super) fn read_narrow(&mut self, rows: usize) -> Result<Option<Bytes>> {
        self.expect_rows(rows)?;
        let PageCodes::Coded { codes, present } = &mut self.codes else {
            return Ok(None);
        };
        if codes.width() > u8::BITS {
            return Ok(None);
        }
        if !skip_present(present.as_mut(), rows)? {
            return Ok(None);
        }
        let narrow = codes.read_bytes(rows)?;
        self.row += rows;
        self.expect_value(largest(&narrow).map(u32::from))?;
        Ok(Some(narrow))
    }

    /// Reads of so many next rows the codes of those at some places among them, ascending, if every row
    /// has one.
    pub(super) fn pick(&mut self, rows: usize, places: &[u32]) -> Result<Option<Vec<u32>>> {
        self.expect_rows(rows)?;
        let PageCodes::Coded { codes, present } = &mut self.codes else {
            return Ok(None);
        };
        if !skip_present(present.as_mut(), rows)? {
            return Ok(None);
        }
        let picked = codes.pick(rows, places)?;
        self.row += rows;
        self.expect_value(largest(&picked))?;
        Ok(Some(picked))
    }

    /// Reads the codes of those of the next rows that have one.
    pub(super) fn read_rows(&mut self, rows: usize, out: &mut RowCodes) -> Result<()> {
        self.expect_rows(rows)?;
        out.set_absent(rows);
        match &mut self.codes {
            PageCodes::Place => {
                out.set_present();
                let first = u32::try_from(self.row - self.rows.start)?;
                for (code, slot) in (first..).zip(out.room()) {
                    *slot = code;
                }
            }
            PageCodes::Coded { codes, present } => {
                read_presence(present.as_mut(), rows, out)?;
                let count = out.present();
                match codes.repeated(count)? {
                    Some(code) => {
                        codes.skip(count)?;
                        out.fill_same(code);
                    }
                    None => codes.read(out.room())?,
                }
            }
        }
        self.row += rows;
        self.expect_value(out.largest())
    }
}

/// Goes over so many rows if all of them have a code, and says whether they do.
fn skip_present(present: Option<&mut Hybrid>, rows: usize) -> Result<bool> {
    let Some(present) = present else {
        return Ok(true);
    };
    if present.repeated(rows)? != Some(1) {
        return Ok(false);
    }
    present.skip(rows)?;
    Ok(true)
}

/// Reads which rows have a code.
fn read_presence(present: Option<&mut Hybrid>, rows: usize, out: &mut RowCodes) -> Result<()> {
    let Some(present) = present else {
        out.set_present();
        return Ok(());
    };
    match present.repeated(rows)? {
        Some(0) => present.skip(rows),
        Some(_) => {
            out.set_present();
            present.skip(rows)
        }
        None => present.read_bits(rows, out.present_bits()),
    }
}

/// Reads codes of the rows that have one, and gives the others `null`.
fn read_present(
    codes: &mut Hybrid,
    present: &mut Hybrid,
    null: u32,
    out: &mut [u32],
) -> Result<()> {
    match present.repeated(out.len())? {
        Some(0) => {
            out.fill(null);
            present.skip(out.len())
        }
        Some(_) => {
            present.skip(out.len())?;
            codes.read(out)
        }
        None => {
            present.read(out)?;
            let count = out.iter().filter(|level| **level != 0).count();
            let mut found = vec![0; count + 1];
            codes.read(&mut found[..count])?;
            let mut next = 0;
            for slot in out {
                let there = *slot != 0;
                *slot = if there { found[next] } else { null };
                next += usize::from(there);
            }
            Ok(())
        }
    }
}

/// Leaves out so many definition levels, and says how many of them were 1.
fn skip_levels(present: &mut Hybrid, mut count: usize) -> Result<usize> {
    let mut levels = [0_u32; 256];
    let mut ones = 0;
    while count > 0 {
        if let Some(level) = present.repeated(count)? {
            present.skip(count)?;
            return Ok(ones + if level == 0 { 0 } else { count });
        }
        let levels = &mut levels[..count.min(256)];
        present.read(levels)?;
        ones += levels.iter().filter(|level| **level != 0).count();
        count -= levels.len();
    }
    Ok(ones)
}
