//! From a seed to blocks in a folder, and what that costs.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use storage::block::meta::BlockMeta;
use storage::block::{EncodeOptions, ReadBack, WriteOptions, encode, store_block, write_parquet};
use storage::catalog::{Catalog, ManifestEdit};
use storage::ids::{BlockId, TenantId};
use storage::model::SpanGroup;
use storage::store::{StoreLocation, open_store};
use testkit::generate::{Batches, Workload};
use tokio::runtime::Runtime;
use ulid::Ulid;

use crate::dataset::{path_text, runtime};
use crate::error::BenchError;
use crate::report::{Report, float, machine, mib, seconds, speed};
use crate::usage::{Meter, Spent, peak_resident_bytes};

/// Columns listed by name; the rest is summed up.
const LISTED_COLUMNS: usize = 30;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder that gets the blocks; must not hold any yet
    #[arg(long)]
    dir: PathBuf,
    /// Number of spans
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    spans: u64,
    /// The same seed makes the same spans
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Spans of one block, about
    #[arg(long, default_value_t = 1_000_000)]
    block_spans: usize,
    /// Append the report to this file
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let mut making = Making::open(&options.dir, &runtime)?;
    let mut batches = Workload::new(options.seed, options.spans).batches();
    loop {
        let (groups, spent) = Meter::of(|| next_block(&mut batches, options.block_spans));
        making.phases.generate += spent;
        if groups.is_empty() {
            break;
        }
        making.store(&groups, &runtime)?;
    }
    making.report(options).publish(options.out.as_deref())
}

/// Spans for one block; none at the end.
fn next_block(batches: &mut Batches, block_spans: usize) -> Vec<SpanGroup> {
    let mut groups = Vec::new();
    let mut spans = 0;
    while spans < block_spans {
        let Some(mut batch) = batches.next() else {
            break;
        };
        spans += batch.iter().map(|group| group.spans.len()).sum::<usize>();
        groups.append(&mut batch);
    }
    groups
}

#[derive(Debug, Default)]
struct Phases {
    generate: Spent,
    encode: Spent,
    write: Spent,
    store: Spent,
}

/// Blocks being made.
struct Making {
    location: StoreLocation,
    catalog: Catalog,
    phases: Phases,
    blocks: Vec<Arc<BlockMeta>>,
}

impl Making {
    fn open(dir: &std::path::Path, runtime: &Runtime) -> Result<Self, BenchError> {
        let location = open_store(path_text(dir)?, &BTreeMap::new())?;
        let store = Arc::clone(&location.store);
        let catalog = runtime.block_on(Catalog::open(
            store,
            location.prefix.clone(),
            TenantId::single(),
        ))?;
        if !catalog.current().blocks.is_empty() {
            return Err(BenchError::Input(format!(
                "{} holds blocks already; remove it or name another folder",
                dir.display()
            )));
        }
        Ok(Self {
            location,
            catalog,
            phases: Phases::default(),
            blocks: Vec::new(),
        })
    }

    fn store(&mut self, groups: &[SpanGroup], runtime: &Runtime) -> Result<(), BenchError> {
        let encode_options = EncodeOptions::new(TenantId::single(), BlockId(Ulid::new()));
        let (block, spent) = Meter::of(|| encode(groups, &encode_options));
        self.phases.encode += spent;
        let block = block?;
        let (encoded, spent) = Meter::of(|| write_parquet(&block, &WriteOptions::default()));
        self.phases.write += spent;
        let encoded = encoded?;
        let (stored, spent) = Meter::of(|| {
            runtime.block_on(async {
                let meta = store_block(
                    &self.location.store,
                    &self.location.prefix,
                    encoded,
                    ReadBack::Verify,
                )
                .await?;
                self.catalog
                    .commit(ManifestEdit {
                        add: vec![Arc::clone(&meta)],
                        remove: Vec::new(),
                    })
                    .await?;
                Ok::<_, BenchError>(meta)
            })
        });
        self.phases.store += spent;
        let meta = stored?;
        eprintln!("block {}: {} spans", meta.block_id, meta.row_count);
        self.blocks.push(meta);
        Ok(())
    }

    fn report(&self, options: &Options) -> Report {
        let mut report = Report::new("Blocks");
        report.paragraph(&machine());
        let spans: u64 = self.blocks.iter().map(|block| block.row_count).sum();
        let traces: u64 = self.blocks.iter().map(|block| block.trace_count).sum();
        let bytes: u64 = self
            .blocks
            .iter()
            .filter_map(|block| block.file.as_ref())
            .map(|file| file.size_bytes)
            .sum();
        report.paragraph(&format!(
            "{spans} spans of {traces} traces (seed {}) in {} blocks: {} in all, **{:.2} bytes per span**. \
             Peak memory {}, with the generated spans of one block.",
            options.seed,
            self.blocks.len(),
            mib(bytes),
            float(bytes) / float(spans.max(1)),
            mib(peak_resident_bytes()),
        ));
        let Phases {
            generate,
            encode,
            write,
            store,
        } = self.phases;
        let mut total = encode;
        total += write;
        total += store;
        let phases = [
            ("encode: spans to columns", encode),
            ("write: columns to Parquet", write),
            ("store: file, checksum, read back, catalog", store),
            ("encode + write + store", total),
            ("(generate the spans)", generate),
        ];
        let rows: Vec<Vec<String>> = phases
            .iter()
            .map(|(name, spent)| {
                vec![
                    (*name).to_owned(),
                    seconds(spent.wall),
                    seconds(spent.cpu),
                    speed(spans, spent.wall),
                    speed(spans, spent.cpu),
                ]
            })
            .collect();
        report.table(
            &["phase", "wall s", "CPU s", "spans/s", "spans/s per core"],
            &rows,
        );
        self.columns(&mut report, spans, bytes);
        report
    }

    fn columns(&self, report: &mut Report, spans: u64, file_bytes: u64) {
        let mut by_column: HashMap<&str, u64> = HashMap::new();
        for column in self.blocks.iter().flat_map(|block| &block.columns) {
            *by_column.entry(&column.name).or_default() +=
                column.compressed_bytes.iter().sum::<u64>();
        }
        let mut columns: Vec<(&str, u64)> = by_column.into_iter().collect();
        columns.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let in_columns: u64 = columns.iter().map(|(_, bytes)| bytes).sum();
        let row = |name: String, bytes: u64| {
            let per_span = float(bytes) / float(spans.max(1));
            vec![
                name,
                format!("{per_span:.3}"),
                format!("{:.1}", float(bytes) * 100.0 / float(file_bytes.max(1))),
            ]
        };
        let mut rows: Vec<_> = columns
            .iter()
            .take(LISTED_COLUMNS)
            .map(|&(name, bytes)| row(format!("`{name}`"), bytes))
            .collect();
        if let Some(rest) = columns
            .get(LISTED_COLUMNS..)
            .filter(|rest| !rest.is_empty())
        {
            rows.push(row(
                format!("{} other columns", rest.len()),
                rest.iter().map(|(_, bytes)| bytes).sum(),
            ));
        }
        rows.push(row(
            "footers and page indexes".to_owned(),
            file_bytes.saturating_sub(in_columns),
        ));
        report.table(&["column", "bytes per span", "% of file"], &rows);
    }
}
