//! From a seed to blocks in a folder, and what that costs.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use storage::block::meta::BlockMeta;
use storage::block::{EncodeOptions, ReadBack, WriteOptions, encode, store_block, write_parquet};
use storage::catalog::{Catalog, Edit};
use storage::ids::TenantId;
use storage::model::SpanGroup;
use storage::random::Random;
use storage::store::{StoreLocation, open_store};
use testkit::generate::{Batches, Workload};
use tokio::runtime::Runtime;

use crate::dataset::{path_text, runtime};
use crate::error::BenchError;
use crate::markdown::{Markdown, mib, seconds, speed};
use crate::record::float;
use crate::usage::{Meter, Spent, peak_resident_bytes};

/// Columns listed by name; the rest is summed up.
const LISTED_COLUMNS: usize = 30;

/// Spans of a block as compaction leaves it.
const LARGE_BLOCK: usize = 1_000_000;
/// Spans of a block as ingest leaves it, at most; and how many such blocks there are at least.
const SMALL_BLOCK: usize = 180_000;
const SMALL_BLOCKS: usize = 100;

/// What to generate, and where.
#[derive(Debug, Clone, Args)]
pub(crate) struct PrepareOptions {
    /// Folder that has the blocks
    #[arg(long, default_value = "target/bench-data")]
    pub(crate) dir: PathBuf,
    /// Number of spans
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) spans: u64,
    /// The same seed makes the same spans
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl PrepareOptions {
    /// Folder of ClickHouse's own table of these spans.
    pub(crate) fn native_folder(&self) -> Result<PathBuf, BenchError> {
        let dir = self.dir.canonicalize();
        let dir = dir.map_err(BenchError::file("find", &self.dir))?;
        Ok(dir.join(format!("clickhouse-{}-{}", self.spans, self.seed)))
    }
}

/// How spans are spread over blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Few and large, as compaction leaves them.
    Large,
    /// Many and small, as ingest leaves them.
    Small,
}

impl Layout {
    pub(crate) const ALL: [Self; 2] = [Self::Large, Self::Small];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Large => "large",
            Self::Small => "small",
        }
    }

    /// Blocks of each number of spans have a folder of their own.
    pub(crate) fn folder(self, options: &PrepareOptions) -> PathBuf {
        let PrepareOptions { spans, seed, .. } = options;
        options.dir.join(format!("{}-{spans}-{seed}", self.name()))
    }

    fn block_spans(self, spans: u64) -> usize {
        let spans = usize::try_from(spans).unwrap_or(usize::MAX);
        match self {
            Self::Large => LARGE_BLOCK,
            Self::Small => (spans / SMALL_BLOCKS).clamp(1, SMALL_BLOCK),
        }
    }
}

/// The command: makes what is not there yet, and says what that took.
pub(crate) fn run(options: &PrepareOptions) -> Result<(), BenchError> {
    let runtime = runtime()?;
    for layout in Layout::ALL {
        match prepare(options, layout, &runtime)? {
            Some(report) => println!("{}", report.text()),
            None => println!("{} is there", layout.folder(options).display()),
        }
    }
    Ok(())
}

/// Makes the blocks of a layout, unless they are there.
pub(crate) fn prepare(
    options: &PrepareOptions,
    layout: Layout,
    runtime: &Runtime,
) -> Result<Option<Markdown>, BenchError> {
    let folder = layout.folder(options);
    let there = |path: &Path| {
        path.try_exists()
            .map_err(BenchError::file("look for", path))
    };
    if there(&folder)? {
        return Ok(None);
    }
    // Under another name until it is complete.
    let partial = folder.with_extension("partial");
    if there(&partial)? {
        std::fs::remove_dir_all(&partial).map_err(BenchError::file("remove", &partial))?;
    }
    std::fs::create_dir_all(&partial).map_err(BenchError::file("make", &partial))?;
    let mut making = Making::open(&partial, runtime)?;
    let mut batches = Workload {
        // Blocks get whole batches.
        batch_spans: layout.block_spans(options.spans).min(8192),
        ..Workload::new(options.seed, options.spans)
    }
    .batches();
    loop {
        let block_spans = layout.block_spans(options.spans);
        let (groups, spent) = Meter::of(|| next_block(&mut batches, block_spans));
        making.phases.generate += spent;
        if groups.is_empty() {
            break;
        }
        making.store(&groups, runtime)?;
    }
    let report = making.report(options, layout);
    std::fs::rename(&partial, &folder).map_err(BenchError::file("rename", &partial))?;
    std::fs::write(folder.join("prepared.md"), report.text())
        .map_err(BenchError::file("write", &folder))?;
    Ok(Some(report))
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
    random: Arc<Random>,
    location: StoreLocation,
    catalog: Catalog,
    phases: Phases,
    blocks: Vec<Arc<BlockMeta>>,
}

impl Making {
    fn open(dir: &Path, runtime: &Runtime) -> Result<Self, BenchError> {
        let random = Random::from_system();
        let location = open_store(path_text(dir)?, &BTreeMap::new())?;
        let store = Arc::clone(&location.store);
        let catalog = runtime.block_on(Catalog::open(
            store,
            location.prefix.clone(),
            TenantId::single(),
            Arc::clone(&random),
            Arc::default(),
        ))?;
        Ok(Self {
            random,
            location,
            catalog,
            phases: Phases::default(),
            blocks: Vec::new(),
        })
    }

    fn store(&mut self, groups: &[SpanGroup], runtime: &Runtime) -> Result<(), BenchError> {
        let encode_options = EncodeOptions::new(TenantId::single(), self.random.block_id());
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
                self.catalog.commit(Edit::add(Arc::clone(&meta))).await?;
                Ok::<_, BenchError>(meta)
            })
        });
        self.phases.store += spent;
        let meta = stored?;
        self.blocks.push(meta);
        Ok(())
    }

    fn report(&self, options: &PrepareOptions, layout: Layout) -> Markdown {
        let mut report = Markdown::new(&format!("Blocks, {}", layout.name()));
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

    fn columns(&self, report: &mut Markdown, spans: u64, file_bytes: u64) {
        let mut by_column: HashMap<&str, u64> = HashMap::new();
        for column in self.blocks.iter().flat_map(|block| &block.columns) {
            *by_column.entry(&column.name).or_default() += column.compressed_bytes;
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
