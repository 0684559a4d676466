//! Where the data sets are, and how to read them.
//!
//! Small samples are part of the repository. The large data sets are not: they are looked for in
//! the folder that `SPANDREL_REAL_DATA` names, else in `../shared/data/real` beside the repository,
//! and whoever needs them has to cope with their absence.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use storage::model::SpanGroup;
use storage::otlp::{from_request, read_delimited};

use crate::facts::{Facts, FactsError};

/// A file of requests with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// File name without its extensions, such as `oteldemo.sample`.
    pub name: String,
    /// The requests: length-delimited protobuf, compressed with zstd.
    pub requests: PathBuf,
    /// The facts, as JSON.
    pub facts: PathBuf,
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TestDataError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A request is damaged.
    #[error("cannot decode a request of {}", path.display())]
    Request {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: storage::StorageError,
    },
}

/// The root of the repository.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().unwrap_or(crate_root).to_path_buf()
}

/// The folder of the small data sets.
#[must_use]
pub fn traces_dir() -> PathBuf {
    workspace_root().join("testdata/traces")
}

/// The folder of the large data sets, if they are there.
#[must_use]
pub fn real_data_dir() -> Option<PathBuf> {
    let named = std::env::var_os("SPANDREL_REAL_DATA").map(PathBuf::from);
    let dir = named.unwrap_or_else(|| workspace_root().join("../shared/data/real"));
    dir.is_dir().then_some(dir)
}

/// The samples: four files of 1,100 to 1,500 spans.
///
/// # Errors
/// The folder cannot be read.
pub fn samples() -> Result<Vec<DataSet>, TestDataError> {
    let mut sets = data_sets(&traces_dir())?;
    sets.retain(|set| set.name.ends_with(".sample"));
    Ok(sets)
}

/// All data sets of a folder, by name: every `NAME.otlp.zst` beside a `NAME.facts.json`.
///
/// # Errors
/// The folder cannot be read.
pub fn data_sets(dir: &Path) -> Result<Vec<DataSet>, TestDataError> {
    let failed = |source| TestDataError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut sets = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        let Some(name) = file
            .to_str()
            .and_then(|file| file.strip_suffix(".otlp.zst"))
        else {
            continue;
        };
        let facts = dir.join(format!("{name}.facts.json"));
        if facts.is_file() {
            sets.push(DataSet {
                name: name.to_owned(),
                requests: dir.join(&file),
                facts,
            });
        }
    }
    sets.sort_by(|lhs, rhs| lhs.name.cmp(&rhs.name));
    Ok(sets)
}

impl DataSet {
    /// The requests, one at a time.
    ///
    /// # Errors
    /// The file cannot be opened; an item fails if the file ends early or is damaged.
    pub fn open(
        &self,
    ) -> Result<
        impl Iterator<Item = Result<ExportTraceServiceRequest, TestDataError>> + use<>,
        TestDataError,
    > {
        let path = self.requests.clone();
        let failed = |source| TestDataError::Io {
            path: self.requests.clone(),
            source,
        };
        let file = File::open(&path).map_err(failed)?;
        let decompressed = zstd::Decoder::new(file).map_err(failed)?;
        Ok(
            read_delimited(BufReader::with_capacity(1 << 20, decompressed)).map(move |request| {
                request.map_err(|source| TestDataError::Request {
                    path: path.clone(),
                    source,
                })
            }),
        )
    }

    /// The spans of all requests, in their order.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn load(&self) -> Result<Vec<SpanGroup>, TestDataError> {
        let mut groups = Vec::new();
        for request in self.open()? {
            groups.extend(from_request(request?).groups);
        }
        Ok(groups)
    }

    /// The facts.
    ///
    /// # Errors
    /// The file cannot be read or is not of the expected form.
    pub fn facts(&self) -> Result<Facts, FactsError> {
        Facts::load(&self.facts)
    }
}
