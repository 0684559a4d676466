//! How the file of a block is written.

/// How a block is written. The defaults are what production uses; tests use smaller ones.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Rows per row group, about: row groups are of equal size, and end where a trace ends.
    pub row_group_rows: usize,
    /// Rows per page, about.
    pub page_rows: usize,
    /// Compression level of zstd.
    pub zstd_level: i32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            row_group_rows: 1_000_000,
            page_rows: 20_000,
            zstd_level: 3,
        }
    }
}
