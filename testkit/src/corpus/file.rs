//! Files of cases.

use std::path::{Path, PathBuf};

use storage::model::SpanGroup;
use traceql::Query;

use super::case::Case;
use super::{cases, traces};

/// A corpus file.
#[derive(Debug)]
pub struct CorpusFile {
    /// Where it came from.
    pub path: PathBuf,
    /// The spans of its traces.
    pub groups: Vec<SpanGroup>,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    pub(super) lines: Vec<String>,
}

impl CorpusFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// The file cannot be read or does not parse.
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// A line does not have the form it should have.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CorpusError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = |(line, reason)| CorpusError::Line {
            path: path.to_path_buf(),
            line: line + 1,
            reason,
        };
        let groups = traces::parse(&lines).map_err(at)?;
        let cases = cases::parse(&lines).map_err(at)?;
        Ok(Self {
            path: path.to_path_buf(),
            groups,
            cases,
            lines,
        })
    }

    /// The file with those of its cases whose query, if it compiles, is one to keep.
    #[must_use]
    pub fn retain(mut self, mut keep: impl FnMut(&Query) -> bool) -> Self {
        self.cases
            .retain(|case| case.compile().map_or(true, |query| keep(&query)));
        self
    }
}

/// Why a corpus file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line does not have the form it should have.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// All corpus files (`*.test`) of a folder, by name.
///
/// # Errors
/// A file cannot be read or does not parse.
pub fn load_dir(dir: &Path) -> Result<Vec<CorpusFile>, CorpusError> {
    let failed = |source| CorpusError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "test")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| CorpusFile::load(path)).collect()
}
