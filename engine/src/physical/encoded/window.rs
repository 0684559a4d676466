//! Some rows of a row group, of which columns are read as they are needed, and what is known of each
//! value by its code.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, RecordBatch,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::common::internal_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use storage::StorageError;
use storage::block::encoded::EncodedColumn;
use storage::schema::names;

use super::codes::{Codes, number};
use crate::aggregate::interval::{IntervalCursor, OUTSIDE};
use crate::index::index;
use crate::rows::Rows;

impl Rows {
    /// Those that a condition holds for.
    ///
    /// # Errors
    /// If the column is damaged, or the condition cannot be evaluated.
    pub(super) fn restrict(
        self,
        condition: &OfColumn,
        known: &mut Cached<Truths>,
        (window, columns): (&mut Window, &mut [EncodedColumn]),
    ) -> Result<Self> {
        let column = window.seek(columns, condition.column)?;
        let truths = cached(known, column, |column| condition.truths(column))?;
        match truths.same {
            Some(true) => Ok(self),
            Some(false) => Ok(Self::Some(Vec::new())),
            None => {
                let (_, codes) = window.read(columns, condition.column, &self)?;
                Ok(self.filter(codes, &truths.by_code))
            }
        }
    }
}

/// An expression of one column, and what it comes to for each of the column's values.
#[derive(Debug, Clone)]
pub(super) struct OfColumn {
    /// Which of the columns read.
    pub(super) column: usize,
    pub(super) expr: Arc<dyn PhysicalExpr>,
    /// A schema of that column alone.
    pub(super) schema: SchemaRef,
}

impl OfColumn {
    /// Whether it is the column of durations as it is.
    pub(super) fn is_duration(&self) -> bool {
        let name = self.expr.downcast_ref::<Column>().map(Column::name);
        name == Some(names::DURATION)
    }

    /// The results by code.
    pub(super) fn evaluate(&self, column: &EncodedColumn) -> Result<ArrayRef> {
        let values = column.values();
        let presented = match self.schema.field(0).data_type() {
            DataType::Dictionary(..) => as_dictionary(values)?,
            _ => Arc::clone(values),
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![presented])?;
        self.expr.evaluate(&batch)?.into_array(values.len())
    }

    /// Of each code, whether the result is true.
    fn truths(&self, column: &EncodedColumn) -> Result<Truths> {
        let result = self.evaluate(column)?;
        let Some(result): Option<&BooleanArray> = result.as_boolean_opt() else {
            return internal_err!("a condition is a boolean");
        };
        let by_code: Vec<bool> = result.iter().map(|truth| truth == Some(true)).collect();
        let first = by_code.first().copied().unwrap_or_default();
        Ok(Truths {
            same: by_code.iter().all(|truth| *truth == first).then_some(first),
            by_code,
        })
    }
}

/// Of which values a condition holds.
#[derive(Debug)]
pub(super) struct Truths {
    by_code: Vec<bool>,
    /// What is so for all of them: then it does not matter which a row has.
    same: Option<bool>,
}

/// Values as a dictionary whose codes are their places.
fn as_dictionary(values: &ArrayRef) -> Result<ArrayRef> {
    // What is null is so in the codes, where everyone looks for it.
    let code = |place: usize| {
        let code = values.is_valid(place).then(|| i32::try_from(place));
        code.transpose()
    };
    let too_many = |error| DataFusionError::External(Box::new(error));
    let codes = (0..values.len())
        .map(code)
        .collect::<Result<Int32Array, _>>();
    let codes = codes.map_err(too_many)?;
    let dictionary = DictionaryArray::<Int32Type>::try_new(codes, Arc::clone(values))?;
    Ok(Arc::new(dictionary))
}

/// Which interval each value of a time column is in.
#[derive(Debug)]
pub(super) struct Intervals {
    by_code: Vec<u32>,
    /// Numbers of the stretches of neighbouring codes in one interval.
    stretches: Vec<u32>,
}

/// When some rows of a window start.
#[derive(Debug)]
pub(super) enum When {
    /// All in one interval, or outside of all.
    Same(Option<usize>),
    Each(Vec<u32>),
    Times(Vec<i64>),
}

impl When {
    /// When rows of a window start, by the `time` among the columns.
    ///
    /// # Errors
    /// If the column is damaged.
    pub(super) fn of(
        rows: &Rows,
        (window, columns): (&mut Window, &mut [EncodedColumn]),
        time: usize,
        (known, cursor): (&mut Cached<Intervals>, &mut IntervalCursor),
    ) -> Result<Self> {
        let (column, codes) = window.read(columns, time, rows)?;
        if matches!(codes, Codes::From(_)) {
            let times = codes.pick(column.values(), rows)?;
            let times = times.as_primitive::<Int64Type>().values();
            return Ok(Self::Times(times.to_vec()));
        }
        let intervals = cached(known, column, |column| {
            Intervals::new(column.values(), cursor)
        })?;
        Ok(intervals.of(codes, rows))
    }
}

impl Intervals {
    fn new(times: &ArrayRef, cursor: &mut IntervalCursor) -> Result<Self> {
        let Some(times) = times.as_primitive_opt::<Int64Type>() else {
            return internal_err!("times are integers");
        };
        let interval = |&time: &i64| cursor.find(time).map_or(OUTSIDE, number);
        let by_code: Vec<u32> = times.values().iter().map(interval).collect();
        let mut stretches = Vec::with_capacity(by_code.len());
        let mut stretch = 0;
        let mut last = None;
        for &interval in &by_code {
            stretch += u32::from(last.is_some_and(|last| last != interval));
            last = Some(interval);
            stretches.push(stretch);
        }
        Ok(Self { by_code, stretches })
    }

    /// The intervals of some of the rows.
    fn of(&self, codes: &Codes, rows: &Rows) -> When {
        let interval = |code: u32| self.by_code.get(index(code)).copied().unwrap_or(OUTSIDE);
        let stretch = |code| self.stretches.get(index(code));
        let bounds = match codes {
            Codes::Same(code) => Some((*code, *code)),
            Codes::Each(each) => Some(bounds(each, u32::MAX, 0)),
            Codes::Narrow(narrow) => {
                let (least, most) = bounds(narrow, u8::MAX, 0);
                Some((least.into(), most.into()))
            }
            Codes::Picked(picked) => Some(bounds(picked.codes(), u32::MAX, 0)),
            Codes::From(_) | Codes::Few(_) => None,
        };
        match bounds {
            // Seconds get their codes as they first come, nearly in order.
            Some((least, most)) if stretch(least) == stretch(most) => {
                let interval = interval(least);
                When::Same((interval != OUTSIDE).then(|| index(interval)))
            }
            _ => When::Each(codes.of(rows).into_iter().map(interval).collect()),
        }
    }
}

fn bounds<T: Copy + Ord>(codes: &[T], most: T, least: T) -> (T, T) {
    let both = |(least, most): (T, T), &code: &T| (least.min(code), most.max(code));
    codes.iter().fold((most, least), both)
}

/// A table by code, and the values that it is of.
pub(super) type Cached<T> = Option<(u64, T)>;

/// What is known by code, found out again if the values are others.
pub(super) fn cached<'a, T>(
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
pub(super) struct Window {
    pub(super) start: usize,
    pub(super) rows: usize,
    codes: Vec<Option<Codes>>,
}

impl Window {
    /// The rows from `start` to `end`, of so many columns.
    pub(super) fn new(start: usize, end: usize, columns: usize) -> Self {
        Self {
            start,
            rows: end - start,
            codes: (0..columns).map(|_| None).collect(),
        }
    }

    /// A column at these rows.
    ///
    /// # Errors
    /// If the column is damaged.
    pub(super) fn seek<'c>(
        &self,
        columns: &'c mut [EncodedColumn],
        index: usize,
    ) -> Result<&'c EncodedColumn> {
        let column = &mut columns[index];
        if self.codes[index].is_none() {
            column.seek(self.start).map_err(external)?;
        }
        Ok(column)
    }

    /// A column, and its codes in these rows, as far as they are `left`: later on no others may be.
    ///
    /// # Errors
    /// If the column is damaged.
    pub(super) fn read<'c>(
        &mut self,
        columns: &'c mut [EncodedColumn],
        index: usize,
        left: &Rows,
    ) -> Result<(&'c EncodedColumn, &Codes)> {
        self.seek(columns, index)?;
        let column = &mut columns[index];
        let codes = &mut self.codes[index];
        let codes = match codes.take() {
            Some(read) => codes.insert(read),
            None => codes.insert(Codes::read(column, self.rows, left).map_err(external)?),
        };
        Ok((column, codes))
    }
}

pub(super) fn external(error: StorageError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Where a window that starts at a row ends: no later than any page.
pub(super) fn window_end<'c>(
    columns: impl Iterator<Item = &'c EncodedColumn>,
    start: usize,
    limit: usize,
) -> usize {
    let ends = columns.map(|column| column.page_end(start));
    // No page ends where it starts; but if one did, this would never end.
    ends.fold(limit, usize::min).max(start + 1)
}
