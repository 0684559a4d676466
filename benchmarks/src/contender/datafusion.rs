//! Plain SQL of DataFusion on the Parquet files, with its default settings.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
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
use crate::suite::{Measure, Question};
use crate::usage::{Meter, Spent};

/// The table with text as the files say: dictionaries. And the one with text as text views.
const TABLES: [(&str, &str); 2] = [("spans", "dictionaries"), ("spans_text", "text views")];
const P99: &str = "approx_percentile_cont(0.99) WITHIN GROUP (ORDER BY duration)";

/// DataFusion.
pub(crate) struct DataFusion {
    context: SessionContext,
    runtime: Handle,
}

impl DataFusion {
    pub(crate) fn new(
        dataset: &Dataset,
        questions: &[Question],
        threads: usize,
        runtime: Handle,
    ) -> Result<Self, BenchError> {
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
        let files = dataset
            .files
            .iter()
            .map(|file| path_text(file).map(str::to_owned))
            .collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<&str> = questions.iter().flat_map(Question::columns).collect();
        let first = dataset
            .files
            .first()
            .ok_or_else(|| BenchError::Input("no files".to_owned()))?;
        let stored = schema(first, &columns)?;
        for ((table, _), schema) in TABLES.into_iter().zip([stored.clone(), as_text(&stored)]) {
            let options = ParquetReadOptions::default().schema(&schema);
            let frame = runtime.block_on(context.read_parquet(files.clone(), options))?;
            context.register_table(table, frame.into_view())?;
        }
        Ok(Self { context, runtime })
    }
}

impl Contender for DataFusion {
    fn name(&self) -> String {
        format!("DataFusion {}", datafusion::DATAFUSION_VERSION)
    }

    fn forms(&self, _: &Question) -> Vec<&'static str> {
        TABLES.iter().map(|(_, form)| *form).collect()
    }

    fn answer(&mut self, question: &Question, form: usize) -> Result<(Spent, Cells), BenchError> {
        let (table, _) = TABLES.get(form).copied().unwrap_or(TABLES[0]);
        let sql = question.sql(table, "/", P99);
        let meter = Meter::start_fine();
        let batches = self
            .runtime
            .block_on(async { self.context.sql(&sql).await?.collect().await })?;
        let spent = meter.spent();
        let mut cells = Cells::new();
        for batch in &batches {
            add(&mut cells, batch, question)?;
        }
        Ok((spent, cells))
    }
}

/// Schema of the named columns of a file.
fn schema(file: &Path, columns: &[&str]) -> Result<Schema, BenchError> {
    let open = File::open(file).map_err(BenchError::file("open", file))?;
    let metadata = ArrowReaderMetadata::load(&open, Default::default());
    let metadata = metadata.map_err(DataFusionError::from)?;
    let fields = metadata.schema().fields().iter();
    Ok(Schema::new(
        fields
            .filter(|field| columns.contains(&field.name().as_str()))
            .cloned()
            .collect::<Vec<_>>(),
    ))
}

fn as_text(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Dictionary(_, _) | DataType::Utf8 => Arc::new(Field::new(
            field.name(),
            DataType::Utf8View,
            field.is_nullable(),
        )),
        _ => Arc::clone(field),
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn add(cells: &mut Cells, batch: &RecordBatch, question: &Question) -> Result<(), BenchError> {
    let column = |name: &str, data_type: &DataType| -> Result<ArrayRef, DataFusionError> {
        let column = batch
            .column_by_name(name)
            .ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
        Ok(cast(column, data_type)?)
    };
    let labels = if question.has_label() {
        Some(column("label", &DataType::Utf8)?)
    } else {
        None
    };
    let (bins, values) = (
        column("bin", &DataType::Int64)?,
        column("value", &DataType::Float64)?,
    );
    let (bins, values) = (
        bins.as_primitive::<Int64Type>(),
        values.as_primitive::<Float64Type>(),
    );
    for row in 0..batch.num_rows() {
        let label = match &labels {
            Some(labels) if labels.is_valid(row) => labels.as_string::<i32>().value(row),
            _ => NO_LABEL,
        };
        let value = values.value(row);
        if question.measure == Measure::P99 || value != 0.0 {
            cells.insert((label.to_owned(), bins.value(row)), value);
        }
    }
    Ok(())
}
