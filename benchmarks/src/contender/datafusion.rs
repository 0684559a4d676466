//! Plain SQL of DataFusion on the Parquet files, with its default settings.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use datafusion::error::DataFusionError;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use tokio::runtime::Handle;

use super::Contender;
use crate::answer::{Cells, NO_LABEL};
use crate::dataset::{Dataset, path_text};
use crate::error::BenchError;
use crate::suite::{Dialect, Question, Value, Window, Writer};
use crate::usage::{Meter, Spent};

/// The table with text as the files say: dictionaries. And the one with text as text views.
const TABLES: [(&str, &str); 2] = [("spans", "dictionaries"), ("spans_text", "text views")];

/// DataFusion.
pub(crate) struct DataFusion {
    dataset: Rc<Dataset>,
    threads: usize,
    context: SessionContext,
    runtime: Handle,
}

impl DataFusion {
    pub(crate) fn new(
        dataset: &Rc<Dataset>,
        threads: usize,
        runtime: Handle,
    ) -> Result<Self, BenchError> {
        let context = runtime.block_on(open(dataset, threads))?;
        Ok(Self {
            dataset: Rc::clone(dataset),
            threads,
            context,
            runtime,
        })
    }

    fn sql(&self, question: &Question, window: &Window, form: usize) -> Option<String> {
        let (table, _) = TABLES.get(form).copied().unwrap_or(TABLES[0]);
        let writer = Writer {
            dialect: Dialect::DataFusion,
            dataset: &self.dataset,
            table,
        };
        writer.query(question, window, form)
    }
}

async fn open(dataset: &Dataset, threads: usize) -> Result<SessionContext, BenchError> {
    let context =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
    let files = dataset.files.iter();
    let files = files
        .map(|file| path_text(file).map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    let first = dataset
        .files
        .first()
        .ok_or_else(|| BenchError::Input("no files".to_owned()))?;
    let stored = shared_columns(dataset, first)?;
    for ((table, _), schema) in TABLES.into_iter().zip([stored.clone(), as_text(&stored)]) {
        let options = ParquetReadOptions::default().schema(&schema);
        let frame = context.read_parquet(files.clone(), options).await?;
        context.register_table(table, frame.into_view())?;
    }
    Ok(context)
}

impl Contender for DataFusion {
    fn name(&self) -> String {
        format!("DataFusion {}", datafusion::DATAFUSION_VERSION)
    }

    fn forms(&self, question: &Question, window: &Window) -> Vec<&'static str> {
        match self.sql(question, window, 0) {
            Some(_) if question.rivals => TABLES.iter().map(|(_, form)| *form).collect(),
            _ => Vec::new(),
        }
    }

    fn answer(
        &mut self,
        question: &Question,
        window: &Window,
        form: usize,
    ) -> Result<(Spent, Cells), BenchError> {
        let sql = self.sql(question, window, form);
        let sql = sql.ok_or_else(|| BenchError::Input(format!("no SQL for {}", question.name)))?;
        let meter = Meter::start_fine();
        let answer = self
            .runtime
            .block_on(async { self.context.sql(&sql).await?.collect().await });
        let spent = meter.spent();
        let batches =
            answer.map_err(|error| BenchError::Rival(format!("DataFusion: {error}\nin: {sql}")))?;
        let mut cells = Cells::new();
        for batch in &batches {
            add(&mut cells, batch, question)?;
        }
        Ok((spent, cells))
    }

    fn forget(&mut self) -> Result<(), BenchError> {
        self.context = self.runtime.block_on(open(&self.dataset, self.threads))?;
        Ok(())
    }
}

/// The columns of a file that all blocks have; which attributes have one differs between blocks.
fn shared_columns(dataset: &Dataset, file: &Path) -> Result<Schema, BenchError> {
    let open = File::open(file).map_err(BenchError::file("open", file))?;
    let metadata = ArrowReaderMetadata::load(&open, Default::default());
    let metadata = metadata.map_err(DataFusionError::from)?;
    let mut names: Option<BTreeSet<&str>> = None;
    for block in &dataset.snapshot.stored {
        let own: BTreeSet<&str> = block.columns.iter().map(|c| &*c.name).collect();
        names = Some(match names {
            Some(names) => names.intersection(&own).copied().collect(),
            None => own,
        });
    }
    let names = names.unwrap_or_default();
    let fields = metadata.schema().fields().iter();
    let fields = fields
        .filter(|field| names.contains(field.name().as_str()) && !field.data_type().is_nested());
    Ok(Schema::new(fields.map(typed).collect::<Vec<_>>()))
}

/// Text is plain in some blocks and a dictionary in others; a dictionary serves both.
fn typed(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true))
}

fn as_text(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, _) => Arc::new(Field::new(
            field.name(),
            DataType::Utf8View,
            field.is_nullable(),
        )),
        _ => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn add(cells: &mut Cells, batch: &RecordBatch, question: &Question) -> Result<(), BenchError> {
    let column = |name: &str| -> Result<ArrayRef, DataFusionError> {
        let column = batch.column_by_name(name);
        let column =
            column.ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
        Ok(Arc::clone(column))
    };
    let labels = labels(&column("label")?)?;
    let bins = cast(&column("bin")?, &DataType::Int64).map_err(DataFusionError::from)?;
    let values = cast(&column("value")?, &DataType::Float64).map_err(DataFusionError::from)?;
    let (bins, values) = (
        bins.as_primitive::<Int64Type>(),
        values.as_primitive::<Float64Type>(),
    );
    let keep_zero = matches!(question.value, Value::Quantile(_) | Value::Average);
    for (row, label) in labels.into_iter().enumerate() {
        let value = values.value(row);
        if keep_zero || value != 0.0 {
            cells.insert((label, bins.value(row)), value);
        }
    }
    Ok(())
}

/// Labels as text; ids as hexadecimal.
fn labels(array: &ArrayRef) -> Result<Vec<String>, DataFusionError> {
    if let Some(ids) = array.as_fixed_size_binary_opt() {
        let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
        return Ok(ids.iter().flatten().map(hex).collect());
    }
    let texts = cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let own = |text: Option<&str>| text.unwrap_or(NO_LABEL).to_owned();
    Ok(texts.iter().map(own).collect())
}
