//! Encodes files of OTLP requests as one block each and prints what each column costs.
//!
//! `cargo run --release -p storage --example measure_block -- FILE.otlp[.zst]... [--keep FOLDER]`
//!
//! With `--keep` the Parquet files are left in a folder, to be looked at with other tools.

#![allow(clippy::print_stdout, reason = "the output is what this is for")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use storage::block::{
    BlockFile, EncodeOptions, WriteOptions, encode, inspect_parquet, write_parquet,
};
use storage::ids::TenantId;
use storage::otlp::{from_request, read_delimited};
use storage::{Clock as _, Random, SystemClock};

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let keep = match paths.iter().position(|argument| argument == "--keep") {
        Some(at) => paths.drain(at..).nth(1).map(PathBuf::from),
        None => None,
    };
    paths
        .iter()
        .try_for_each(|path| measure(path, keep.as_deref()))
}

/// How long ago this was.
fn since(start: Instant) -> Duration {
    SystemClock.instant() - start
}

fn measure(path: &str, keep: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let file = BufReader::new(File::open(path)?);
    let reader: Box<dyn Read> = if path.ends_with(".zst") {
        Box::new(zstd::Decoder::new(file)?)
    } else {
        Box::new(file)
    };
    let mut groups = Vec::new();
    let mut decoding = Duration::ZERO;
    for request in read_delimited(reader) {
        let request = request?;
        let start = SystemClock.instant();
        groups.extend(from_request(request).groups);
        decoding += since(start);
    }
    let spans: usize = groups.iter().map(|group| group.spans.len()).sum();
    let options = EncodeOptions::new(TenantId::single(), Random::from_system().block_id());
    let (mut best_encode, mut best_write) = (f64::MAX, f64::MAX);
    let mut written = None;
    for _ in 0..5 {
        let start = SystemClock.instant();
        let block = encode(&groups, &options)?;
        best_encode = best_encode.min(since(start).as_secs_f64());
        let start = SystemClock.instant();
        written = Some((write_parquet(&block, &WriteOptions::default())?, block));
        best_write = best_write.min(since(start).as_secs_f64());
    }
    let Some((written, block)) = written else {
        return Ok(());
    };
    if let Some(folder) = keep {
        let name = Path::new(path)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        std::fs::write(folder.join(format!("{name}.parquet")), &written.bytes)?;
    }
    let per_second = |seconds: f64| spans as f64 / seconds / 1e3;
    println!("== {path}");
    println!(
        "{spans} spans, {} rows, {} traces, {} bytes, {:.2} B/span; model {:.0} k/s, encode {:.0} k/s, \
         write {:.0} k/s ({} threads); {} bytes in memory, filter {} bytes, {} attribute columns",
        block.meta.row_count,
        block.meta.trace_count,
        written.bytes.len(),
        written.bytes.len() as f64 / block.meta.row_count as f64,
        per_second(decoding.as_secs_f64()),
        per_second(best_encode),
        per_second(best_write),
        std::thread::available_parallelism()?,
        block.memory_bytes(),
        written.trace_id_filter.bits().len(),
        written
            .meta
            .attributes
            .iter()
            .flat_map(|a| &a.types)
            .filter(|t| t.column.is_some())
            .count(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let store: std::sync::Arc<dyn object_store::ObjectStore> =
            std::sync::Arc::new(object_store::memory::InMemory::new());
        let path = object_store::path::Path::from("block");
        object_store::ObjectStoreExt::put(&store, &path, written.bytes.clone().into()).await?;
        let mut file = BlockFile::open_bare(store, path).await?;
        Ok::<_, Box<dyn Error>>(inspect_parquet(file.footer().await?.metadata()))
    })?;
    let mut columns = report.columns;
    columns.sort_by_key(|column| std::cmp::Reverse(column.compressed_bytes));
    let total: u64 = columns.iter().map(|column| column.compressed_bytes).sum();
    for column in &columns {
        if column.bytes_per_span >= 0.01 {
            println!(
                "{:8.3}  {:9}  {:>9}  {:40} {:12} {}",
                column.bytes_per_span,
                column.compressed_bytes,
                column.uncompressed_bytes,
                column.path,
                column.compression,
                column.encodings.join(" ")
            );
        }
    }
    println!(
        "{:8.3}  footer",
        (written.bytes.len() as u64 - total) as f64 / spans as f64
    );
    Ok(())
}
