//! One column of some rows of several sources, put together and encoded.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, MutableArrayData, RecordBatch, make_array, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};

use super::coded::CodedTexts;
use super::columns::{Column, Content, Take};
use super::source::Batches;
use crate::block::{AttributeCounts, ColumnWriter, EncodedChunk, Entries};
use crate::error::StorageError;
use crate::schema::names;

/// Rows of nothing that are made at a time.
const NULLS: usize = 16_384;
/// Rows that are put together at a time.
const CHUNK_ROWS: usize = 65_536;

/// The next rows of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) source: usize,
    pub(super) rows: usize,
}

/// What a source has for a column, batch by batch.
pub(super) struct Reader {
    pub(super) object: String,
    pub(super) take: Take,
    pub(super) batches: Batches,
}

/// A column of a row group.
pub(super) struct Gathered {
    pub(super) chunks: Vec<EncodedChunk>,
    /// How many rows have which attributes in this column.
    pub(super) counts: AttributeCounts,
    /// The rows themselves, of the columns that say when spans are; else none.
    pub(super) times: Vec<ArrayRef>,
    /// The texts, of the column of services.
    pub(super) services: BTreeSet<String>,
}

/// Puts a column together: each of the runs is the next rows of its source.
///
/// # Errors
/// If a block is damaged, or there is more than a column can hold.
pub(super) fn gather(
    column: &Column,
    writer: ColumnWriter,
    readers: Vec<Reader>,
    runs: &[Run],
) -> Result<Gathered, StorageError> {
    let mut gather = Gather {
        column,
        sources: readers.into_iter().map(Open::new).collect(),
        chunk: Chunk::default(),
        sink: Sink::new(column, writer),
        counts: AttributeCounts::default(),
    };
    for run in runs {
        gather.add(*run)?;
    }
    gather.flush()?;
    gather.sink.finish(gather.counts)
}

struct Gather<'a> {
    column: &'a Column,
    sources: Vec<Open>,
    chunk: Chunk,
    sink: Sink<'a>,
    counts: AttributeCounts,
}

/// A source, and how far it was read.
struct Open {
    reader: Reader,
    array: Option<ArrayRef>,
    /// Rows of the array that are used up.
    at: usize,
    /// Where the array is in the chunk, if it is.
    in_chunk: Option<usize>,
}

impl Open {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            array: None,
            at: 0,
            in_chunk: None,
        }
    }
}

/// Rows of arrays, to be copied one behind the other.
#[derive(Default)]
struct Chunk {
    arrays: Vec<ArrayRef>,
    /// Source, array, first row and end.
    copies: Vec<(usize, usize, usize, usize)>,
    rows: usize,
}

impl Gather<'_> {
    fn add(&mut self, run: Run) -> Result<(), StorageError> {
        let mut left = run.rows;
        while left > 0 {
            let Some(source) = self.sources.get_mut(run.source) else {
                return Err(StorageError::Internal("rows of no source".to_owned()));
            };
            let array = match &source.array {
                Some(array) if source.at < array.len() => array,
                _ => {
                    source.at = 0;
                    source.in_chunk = None;
                    let next = next(&mut source.reader, self.column, &mut self.counts)?;
                    source.array.insert(next)
                }
            };
            let rows = left
                .min(array.len() - source.at)
                .min(CHUNK_ROWS - self.chunk.rows);
            let place = match source.in_chunk {
                Some(place) => place,
                None => {
                    self.chunk.arrays.push(Arc::clone(array));
                    *source.in_chunk.insert(self.chunk.arrays.len() - 1)
                }
            };
            let copy = (run.source, place, source.at, source.at + rows);
            match self.chunk.copies.last_mut() {
                Some(last) if (last.0, last.1, last.3) == (copy.0, copy.1, copy.2) => {
                    last.3 = copy.3
                }
                _ => self.chunk.copies.push(copy),
            }
            source.at += rows;
            self.chunk.rows += rows;
            left -= rows;
            if self.chunk.rows == CHUNK_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let chunk = std::mem::take(&mut self.chunk);
        for source in &mut self.sources {
            source.in_chunk = None;
        }
        if chunk.rows == 0 {
            return Ok(());
        }
        self.sink.write(&chunk)
    }
}

/// The next batch of a source, as the column that is written has it.
fn next(
    reader: &mut Reader,
    column: &Column,
    counts: &mut AttributeCounts,
) -> Result<ArrayRef, StorageError> {
    let field = &column.field;
    if matches!(reader.take, Take::Nothing) {
        if field.is_nullable() {
            return Ok(new_null_array(field.data_type(), NULLS));
        }
        return Err(StorageError::malformed(&reader.object, field.name()));
    }
    let batch: RecordBatch = match reader.batches.next() {
        Some(batch) => batch?,
        None => return Err(StorageError::malformed(&reader.object, "too few rows")),
    };
    let array = match &reader.take {
        Take::Nothing => new_null_array(field.data_type(), batch.num_rows()),
        Take::Column(name) => {
            let array = batch.column_by_name(name);
            Arc::clone(array.ok_or_else(|| StorageError::malformed(&reader.object, name))?)
        }
        Take::Lookup(lookup) => lookup.array(&batch, &reader.object)?,
        Take::Remaining(remaining) => remaining.array(&batch, &reader.object, counts)?,
    };
    match &column.content {
        Content::Attribute(scope, key, value_type) => {
            let count = array.len() - array.logical_null_count();
            counts.add(*scope, key, *value_type, count as u64);
        }
        Content::Items(scope) => {
            let malformed = || StorageError::malformed(&reader.object, field.name());
            let items = array.as_list_opt::<i32>().ok_or_else(malformed)?;
            let offsets = items.value_offsets();
            let ends = [offsets.first(), offsets.last()];
            let [first, end] = ends.map(|at| at.map_or(0, |at| usize::try_from(*at).unwrap_or(0)));
            let structs = items.values().as_struct_opt().ok_or_else(malformed)?;
            let lists = structs.column_by_name(names::ITEM_ATTRIBUTES);
            let lists = lists.and_then(Entries::new).ok_or_else(malformed)?;
            counts.add_lists(*scope, &lists, first..end, &reader.object, |_, _| false)?;
        }
        Content::Same | Content::Residual(_) => {}
    }
    // Texts in dictionaries are told apart by their codes as long as that is wanted.
    let is_text = matches!(array.data_type(), DataType::Dictionary(..) | DataType::Utf8);
    let wants_codes = matches!(field.data_type(), DataType::Dictionary(..));
    if (is_text && wants_codes) || array.data_type() == field.data_type() {
        return Ok(array);
    }
    cast(&array, field.data_type()).map_err(|error| StorageError::arrow("reading a column", error))
}

/// Where the rows of a column go.
struct Sink<'a> {
    column: &'a Column,
    writer: ColumnWriter,
    form: Form,
    times: Vec<ArrayRef>,
    services: BTreeSet<String>,
}

/// How a column is kept until it is encoded.
enum Form {
    /// As codes, since a dictionary is for all of the rows.
    Coded(Box<CodedTexts>),
    /// In pieces: numbers are encoded as a whole.
    Whole(Vec<ArrayRef>),
    /// Not at all: what may be wide is encoded piece by piece.
    Streamed,
}

impl<'a> Sink<'a> {
    fn new(column: &'a Column, writer: ColumnWriter) -> Self {
        let form = match column.field.data_type() {
            DataType::Dictionary(..) => Form::Coded(Box::default()),
            DataType::Utf8 | DataType::List(_) => Form::Streamed,
            _ => Form::Whole(Vec::new()),
        };
        Self {
            column,
            writer,
            form,
            times: Vec::new(),
            services: BTreeSet::new(),
        }
    }

    fn write(&mut self, chunk: &Chunk) -> Result<(), StorageError> {
        if let Form::Coded(texts) = &mut self.form {
            for (source, array, start, end) in &chunk.copies {
                if let Some(array) = chunk.arrays.get(*array) {
                    texts.add(*source, array, *start..*end)?;
                }
            }
            return Ok(());
        }
        let array = copy(chunk)?;
        match &mut self.form {
            Form::Whole(slices) => slices.push(array),
            Form::Streamed | Form::Coded(_) => {
                if self.column.field.name() == names::SERVICE_NAME {
                    let texts = array.as_string_opt::<i32>();
                    let texts = texts.into_iter().flatten();
                    self.services
                        .extend(texts.map(|text| text.unwrap_or_default().to_owned()));
                }
                self.writer.write(&array).map_err(encoding)?;
            }
        }
        Ok(())
    }

    fn finish(mut self, counts: AttributeCounts) -> Result<Gathered, StorageError> {
        let chunks = match self.form {
            Form::Coded(texts) => {
                let array = texts.finish()?;
                if self.column.field.name() == names::SERVICE_NAME {
                    self.services = services(&array);
                }
                self.writer.encode(&[array])
            }
            Form::Whole(slices) => {
                let name = self.column.field.name().as_str();
                if [names::START_NS, names::DURATION, names::END_NS].contains(&name) {
                    self.times.clone_from(&slices);
                }
                self.writer.encode(&slices)
            }
            Form::Streamed => self.writer.finish(),
        };
        Ok(Gathered {
            chunks: chunks.map_err(encoding)?,
            counts,
            times: self.times,
            services: self.services,
        })
    }
}

/// The texts of a coded column; the empty text where there is none.
fn services(array: &ArrayRef) -> BTreeSet<String> {
    let Some(coded) = array.as_dictionary_opt::<Int32Type>() else {
        return BTreeSet::new();
    };
    let texts = coded.values().as_string_opt::<i32>();
    let texts = texts.into_iter().flatten().flatten().map(str::to_owned);
    let none = (coded.keys().null_count() > 0).then(String::new);
    texts.chain(none).collect()
}

/// The rows of a chunk as one array.
fn copy(chunk: &Chunk) -> Result<ArrayRef, StorageError> {
    if let ([array], [(_, _, start, end)]) = (&chunk.arrays[..], &chunk.copies[..]) {
        return Ok(array.slice(*start, end - start));
    }
    let data: Vec<_> = chunk.arrays.iter().map(|array| array.to_data()).collect();
    let mut out = MutableArrayData::new(data.iter().collect(), false, chunk.rows);
    for (_, array, start, end) in &chunk.copies {
        out.try_extend(*array, *start, *end)
            .map_err(|error| StorageError::arrow("putting rows together", error))?;
    }
    Ok(make_array(out.freeze()))
}

fn encoding(error: parquet::errors::ParquetError) -> StorageError {
    StorageError::from_parquet("a compacted block", error)
}
