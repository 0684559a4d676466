//! An engine behind SQL in a Python process that times itself: DuckDB, or ClickHouse as chDB.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::driver::{Driver, malformed};
use super::{Contender, mergetree};
use crate::answer::{Bounds, Cells, NO_LABEL};
use crate::dataset::{Dataset, path_text};
use crate::error::BenchError;
use crate::suite::{Dialect, Question, Value, Window, Writer, text};
use crate::usage::{Spent, drop_from_page_cache};

const TABLE: &str = "spans";

/// A rival in a process of its own.
pub(crate) struct SqlProcess {
    dialect: Dialect,
    dataset: Rc<Dataset>,
    table: String,
    name: String,
    /// What it reads besides the blocks' files.
    own_files: Option<PathBuf>,
    driver: Driver,
}

impl SqlProcess {
    /// DuckDB on the files.
    pub(crate) fn duckdb(
        dataset: &Rc<Dataset>,
        threads: usize,
        python: &Path,
    ) -> Result<Self, BenchError> {
        let files = file_list(dataset)?;
        let setup = [
            format!("SET threads = {threads}"),
            "SET preserve_insertion_order = false".to_owned(),
            // Spandrel keeps the metadata of files, too.
            "SET parquet_metadata_cache = true".to_owned(),
            format!("CREATE VIEW {TABLE} AS SELECT * FROM read_parquet([{files}])"),
        ];
        let driver = Driver::start(python, "duckdb", None, &setup)?;
        Ok(Self {
            dialect: Dialect::DuckDb,
            dataset: Rc::clone(dataset),
            table: TABLE.to_owned(),
            name: format!("DuckDB {}", driver.version),
            own_files: None,
            driver,
        })
    }

    /// ClickHouse on the files.
    pub(crate) fn clickhouse(
        dataset: &Rc<Dataset>,
        threads: usize,
        python: &Path,
    ) -> Result<Self, BenchError> {
        let setup = [format!("SET max_threads = {threads}")];
        let driver = Driver::start(python, "chdb", None, &setup)?;
        Ok(Self {
            dialect: Dialect::ClickHouse,
            dataset: Rc::clone(dataset),
            table: clickhouse_files(dataset)?,
            name: format!("ClickHouse {}", driver.version),
            own_files: None,
            driver,
        })
    }

    /// ClickHouse on its own table in a folder, which is filled from the files unless that was done
    /// before.
    pub(crate) fn mergetree(
        dataset: &Rc<Dataset>,
        folder: &Path,
        threads: usize,
        python: &Path,
    ) -> Result<Self, BenchError> {
        let setup = [format!("SET max_threads = {threads}")];
        let mut driver = Driver::start(python, "chdb", Some(folder), &setup)?;
        mergetree::fill(dataset, &mut driver)?;
        Ok(Self {
            dialect: Dialect::MergeTree,
            dataset: Rc::clone(dataset),
            table: mergetree::TABLE.to_owned(),
            name: format!("MergeTree {}", driver.version),
            own_files: Some(folder.to_owned()),
            driver,
        })
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            dialect: self.dialect,
            dataset: &self.dataset,
            table: &self.table,
        }
    }

    /// Bounds of the exact percentile of every cell.
    pub(crate) fn percentile_bounds(
        &mut self,
        question: &Question,
        window: &Window,
    ) -> Result<Option<Bounds>, BenchError> {
        let Some(sql) = self.writer().percentile_bounds(question, window) else {
            return Ok(None);
        };
        let (_, rows) = self.driver.rows(&sql)?;
        let bound =
            |row: &Vec<Json>| Some((cell(row)?, (row.get(2)?.as_f64()?, row.get(3)?.as_f64()?)));
        let bounds = rows.iter().map(bound).collect::<Option<Bounds>>();
        bounds.map(Some).ok_or_else(malformed)
    }

    /// Bytes of the native table, if there is one.
    pub(crate) fn table_bytes(&mut self) -> Result<Option<f64>, BenchError> {
        match self.dialect {
            Dialect::MergeTree => mergetree::bytes(&mut self.driver).map(Some),
            _ => Ok(None),
        }
    }
}

impl Contender for SqlProcess {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn forms(&self, question: &Question, window: &Window) -> Vec<&'static str> {
        match self.writer().query(question, window, 0) {
            Some(_) if question.rivals => self.writer().forms(question.value).to_vec(),
            _ => Vec::new(),
        }
    }

    fn answer(
        &mut self,
        question: &Question,
        window: &Window,
        form: usize,
    ) -> Result<(Spent, Cells), BenchError> {
        let sql = self.writer().query(question, window, form);
        let sql = sql.ok_or_else(|| BenchError::Input(format!("no SQL for {}", question.name)))?;
        let (spent, rows) = self.driver.rows(&sql)?;
        let keep_zero = matches!(question.value, Value::Quantile(_) | Value::Average);
        let mut cells = Cells::new();
        for row in &rows {
            let value = row.get(2).and_then(Json::as_f64).ok_or_else(malformed)?;
            if keep_zero || value != 0.0 {
                cells.insert(cell(row).ok_or_else(malformed)?, value);
            }
        }
        Ok((spent, cells))
    }

    fn forget(&mut self) -> Result<(), BenchError> {
        if let Some(folder) = &self.own_files {
            drop_from_page_cache(folder)?;
        }
        self.driver.ask(&json!({ "forget": true }))
    }
}

/// The files as a list of SQL texts.
fn file_list(dataset: &Dataset) -> Result<String, BenchError> {
    let files = dataset.files.iter();
    let files = files
        .map(|file| path_text(file).map(text))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(files.join(", "))
}

/// The files as one table of ClickHouse.
fn clickhouse_files(dataset: &Dataset) -> Result<String, BenchError> {
    // ClickHouse takes a pattern, and all blocks of a tenant are in one folder.
    let folder = dataset
        .files
        .first()
        .and_then(|file| file.parent()?.parent());
    let folder = folder.ok_or_else(|| BenchError::Input("no files".to_owned()))?;
    let pattern = folder.join("*").join("spans.parquet");
    Ok(format!("file({}, Parquet)", text(path_text(&pattern)?)))
}

/// Label and interval of a row.
fn cell(row: &[Json]) -> Option<(String, i64)> {
    let label = match row.first()? {
        Json::Null => NO_LABEL.to_owned(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some((label, row.get(1)?.as_i64()?))
}
