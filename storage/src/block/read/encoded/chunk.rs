//! A column chunk in memory: its bytes, and those of its pages that were decoded.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef};
use bytes::Bytes;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::page::PageContent;
use crate::block::footer::chunk_range;
use crate::block::read::page_reader::{ColumnPages, FetchedBytes, damaged, locations};

/// A column chunk that readers share: what one has decoded, the others need not.
pub(crate) struct ColumnChunk {
    bytes: FetchedBytes,
    /// First row of each page, then the number of rows.
    pub(super) bounds: Vec<usize>,
    dictionary: OnceLock<ArrayRef>,
    /// Decoded pages; no room for any if none is to be kept.
    pages: Box<[OnceLock<PageContent>]>,
    memory_bytes: AtomicU64,
}

impl fmt::Debug for ColumnChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnChunk")
            .field("bounds", &self.bounds)
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

/// Bytes of memory that a chunk takes with all of its pages decoded, about.
pub(super) fn estimated_bytes(chunk: &ColumnChunkMetaData) -> u64 {
    let sizes = [chunk.compressed_size(), chunk.uncompressed_size()];
    let sizes = sizes.map(|size| u64::try_from(size).unwrap_or(u64::MAX));
    sizes[0].saturating_add(sizes[1])
}

/// First row of each page, then the number of rows; `None` if they make no sense.
#[must_use]
pub fn page_bounds(
    metadata: &ParquetMetaData,
    row_group: usize,
    leaf: usize,
) -> Option<Vec<usize>> {
    let rows = usize::try_from(metadata.row_groups().get(row_group)?.num_rows()).ok()?;
    let pages = locations(metadata, row_group, leaf).ok()?.iter();
    let first_rows = pages.map(|page| page.first_row_index);
    let bounds: Vec<usize> = first_rows
        .map(|row| usize::try_from(row).ok())
        .chain([Some(rows)])
        .collect::<Option<_>>()?;
    (bounds.len() > 1 && bounds[0] == 0 && bounds.is_sorted_by(|a, b| a < b)).then_some(bounds)
}

impl ColumnChunk {
    /// A chunk of a file, and its bytes. If it is `kept`, so are its pages once they are decoded.
    ///
    /// # Errors
    ///
    /// If the chunk's description makes no sense.
    pub(super) fn new(
        metadata: &ParquetMetaData,
        (row_group, leaf): (usize, usize),
        bytes: &Bytes,
        kept: bool,
    ) -> Result<Self> {
        let disordered = || damaged("an index of pages that are not in order");
        let bounds = page_bounds(metadata, row_group, leaf).ok_or_else(disordered)?;
        let chunk = metadata.row_group(row_group).column(leaf);
        let Range { start, .. } = range(chunk)?;
        let pages = if kept { bounds.len() - 1 } else { 0 };
        // What is kept must not hold all that was fetched with it.
        let bytes = if kept {
            Bytes::copy_from_slice(bytes)
        } else {
            bytes.clone()
        };
        let page_bytes = pages * size_of::<OnceLock<PageContent>>();
        Ok(Self {
            memory_bytes: AtomicU64::new((bytes.len() + page_bytes + size_of::<Self>()) as u64),
            bytes: FetchedBytes(vec![(start, bytes)]),
            bounds,
            dictionary: OnceLock::new(),
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
        })
    }

    /// Bytes of memory that the chunk takes, with what was decoded of it so far.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// A reader of the chunk's pages, from the first on.
    ///
    /// # Errors
    ///
    /// If the chunk's description makes no sense.
    pub(super) fn pages(
        &self,
        metadata: &ParquetMetaData,
        (row_group, leaf): (usize, usize),
    ) -> Result<ColumnPages> {
        let chunk = metadata.row_group(row_group).column(leaf);
        let rows = self.bounds.last().copied().unwrap_or_default();
        let locations = locations(metadata, row_group, leaf)?.clone();
        ColumnPages::new(self.bytes.clone(), chunk, rows, locations)
    }

    /// The dictionary, if it was decoded.
    pub(super) fn dictionary(&self) -> Option<&ArrayRef> {
        self.dictionary.get()
    }

    /// Keeps the dictionary, which all pages refer to.
    pub(super) fn keep_dictionary(&self, dictionary: ArrayRef) {
        let bytes = dictionary.get_buffer_memory_size();
        if self.dictionary.set(dictionary).is_ok() {
            self.add_bytes(bytes);
        }
    }

    /// A page, if it was decoded and kept.
    pub(super) fn page(&self, page: usize) -> Option<&PageContent> {
        self.pages.get(page)?.get()
    }

    /// Keeps a page.
    pub(super) fn keep_page(&self, page: usize, content: &PageContent) {
        if let Some(slot) = self.pages.get(page)
            && slot.set(content.clone()).is_ok()
        {
            self.add_bytes(content.bytes);
        }
    }

    fn add_bytes(&self, bytes: usize) {
        self.memory_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Where a chunk is in its file.
///
/// # Errors
///
/// If that makes no sense.
pub(super) fn range(chunk: &ColumnChunkMetaData) -> Result<Range<u64>> {
    chunk_range(chunk).ok_or_else(|| damaged("a column chunk outside the file"))
}
