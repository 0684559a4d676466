//! `spandrel block`: what is in stored blocks, and whether it is unharmed.

use std::path::Path as FilePath;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use object_store::path::Path;
use storage::block::meta::BlockMeta;
use storage::block::{BlockFile, BlockReport, VerifyReport, inspect_parquet, verify_bare};
use storage::layout::SPANS_FILE;
use storage::snapshot::Times;
use storage::store::{StoreLocation, open_store};

use super::options::{ConfigOptions, Logging};
use crate::local::{self, Access};
use crate::render::number;
use crate::{output, times};

#[derive(Debug, Subcommand)]
pub(super) enum BlockCommand {
    /// List the blocks of a storage
    #[command(
        after_help = "Examples:\n  spandrel block list --data-dir ./spandrel-data\n  spandrel block list --config spandrel.yaml --tenant team-a"
    )]
    List(ListArgs),
    /// Show the columns of a block with their types, encodings and bytes per span
    #[command(
        after_help = "Examples:\n  spandrel block inspect 01KA5Z3B1QY2RW0VDN1YJ5E9CW --data-dir ./spandrel-data\n  spandrel block inspect ./spandrel-data/store/single-tenant/blocks/01KA5Z3B1QY2RW0VDN1YJ5E9CW\n  spandrel block inspect spans.parquet --verify\n  spandrel block inspect s3://bucket/prefix/tenant/blocks/01KA5Z3B1QY2RW0VDN1YJ5E9CW/spans.parquet"
    )]
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Whose blocks; needed where there are several tenants
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// A block's file or folder, its URL, or with --data-dir or --config its id
    block: String,
    #[command(flatten)]
    config: ConfigOptions,
    /// Whose block, if it is named by its id
    #[arg(long)]
    tenant: Option<String>,
    /// Read all of it and compare every checksum
    #[arg(long)]
    verify: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &BlockCommand) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime::runtime()?;
    match command {
        BlockCommand::List(args) => runtime.block_on(list(args))?,
        BlockCommand::Inspect(args) => runtime.block_on(inspect(args))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
    let catalog = local::catalog(&location, &tenant).await?;
    let root = catalog.current();
    let blocks = catalog.blocks(&root, &Times::ALL.spans).await?;
    let mut table = columns(
        &[
            "BLOCK",
            "FIRST SPAN",
            "LAST SPAN",
            "SPANS",
            "TRACES",
            "SERVICES",
            "BYTES",
            "B/SPAN",
        ],
        3,
    );
    for block in &blocks {
        table.add_row(row(block));
    }
    print(&table)?;
    let spans: u64 = blocks.iter().map(|block| block.row_count).sum();
    let bytes: u64 = blocks.iter().map(|block| size(block)).sum();
    output::line(&format!(
        "{} blocks, {} spans, {}, {} bytes per span (tenant {tenant}, catalog version {})",
        blocks.len(),
        number::count(spans),
        number::bytes(bytes),
        per_span(bytes, spans),
        root.version
    ))?;
    Ok(())
}

fn row(block: &BlockMeta) -> Vec<String> {
    vec![
        block.block_id.to_string(),
        times::format(block.min_start_ns),
        times::format(block.max_start_ns),
        number::count(block.row_count),
        number::count(block.trace_count),
        block
            .services
            .as_ref()
            .map_or_else(|| "many".to_owned(), |services| services.len().to_string()),
        number::count(size(block)),
        per_span(size(block), block.row_count),
    ]
}

fn size(block: &BlockMeta) -> u64 {
    block.file.as_ref().map_or(0, |file| file.size_bytes)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn per_span(bytes: u64, spans: u64) -> String {
    if spans == 0 {
        "-".to_owned()
    } else {
        format!("{:.2}", bytes as f64 / spans as f64)
    }
}

async fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let (location, path, meta) = locate(args).await?;
    let mut file = BlockFile::open_bare(Arc::clone(&location.store), path.clone()).await?;
    let report = inspect_parquet(file.footer().await?.metadata());
    let verified = match (&meta, args.verify) {
        (_, false) => None,
        (Some(meta), true) => {
            Some(storage::block::verify(&location.store, &location.prefix, meta).await?)
        }
        (None, true) => Some(verify_bare(&location.store, &path).await?),
    };
    if args.json {
        output::line(&serde_json::to_string_pretty(
            &serde_json::json!({"block": report, "verified": verified}),
        )?)?;
    } else {
        show(&report)?;
        verified.map_or(Ok(()), |verified| output::line(&unharmed(&verified)))?;
    }
    Ok(())
}

/// Finds the block's file: in the catalog if it was named by its id, else where the path or URL says.
async fn locate(
    args: &InspectArgs,
) -> anyhow::Result<(StoreLocation, Path, Option<Arc<BlockMeta>>)> {
    if let Ok(id) = args.block.parse::<storage::ids::BlockId>() {
        let config = args.config.load(Logging::OnlyProblems)?;
        let location = local::open(&config, Access::Read)?;
        let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
        let catalog = local::catalog(&location, &tenant).await?;
        let root = catalog.current();
        let mut blocks = catalog.blocks(&root, &Times::ALL.spans).await?.into_iter();
        let Some(meta) = blocks.find(|block| block.block_id == id) else {
            bail!("the catalog of tenant {tenant} has no block {id}")
        };
        let path = storage::layout::spans_file(&location.prefix, &meta);
        return Ok((location, path, Some(meta)));
    }
    if args.block.contains("://") {
        let url = if args.block.ends_with(".parquet") {
            args.block.clone()
        } else {
            format!("{}/{SPANS_FILE}", args.block.trim_end_matches('/'))
        };
        let location = open_store(&url, &std::collections::BTreeMap::new())?;
        let path = location.prefix.clone();
        return Ok((location, path, None));
    }
    let given = local::canonical(FilePath::new(&args.block))?;
    let file = if given.is_dir() {
        given.join(SPANS_FILE)
    } else {
        given
    };
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .context("the file's name is not UTF-8")?
        .to_owned();
    let folder = file
        .parent()
        .and_then(FilePath::to_str)
        .context("the folder's name is not UTF-8")?;
    let location = open_store(folder, &std::collections::BTreeMap::new())?;
    Ok((location, Path::from(name), None))
}

fn show(report: &BlockReport) -> anyhow::Result<()> {
    let mut table = columns(
        &[
            "COLUMN",
            "TYPE",
            "ENCODINGS",
            "CODEC",
            "BYTES",
            "UNCOMPRESSED",
            "B/SPAN",
        ],
        4,
    );
    for column in &report.columns {
        table.add_row([
            column.path.clone(),
            column.arrow_type.clone(),
            column.encodings.join(" "),
            column.compression.clone(),
            number::count(column.compressed_bytes),
            number::count(column.uncompressed_bytes),
            format!("{:.3}", column.bytes_per_span),
        ]);
    }
    print(&table)?;
    let bytes: u64 = report
        .columns
        .iter()
        .map(|column| column.compressed_bytes)
        .sum();
    output::line(&format!(
        "{} spans, {} row groups, {} columns, {}, {} bytes per span",
        number::count(report.row_count),
        report.row_group_count,
        report.columns.len(),
        number::bytes(bytes),
        per_span(bytes, report.row_count)
    ))?;
    Ok(())
}

fn unharmed(report: &VerifyReport) -> String {
    let against = if report.compared_with_catalog {
        "length, SHA-256"
    } else {
        "footer"
    };
    format!(
        "unharmed: {against} and {} column chunks checked, {} spans decoded",
        number::count(report.column_chunks),
        number::count(report.row_count)
    )
}

/// An empty table; columns from `numbers_from` on hold numbers.
fn columns(names: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(names);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= numbers_from {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn print(table: &Table) -> anyhow::Result<()> {
    let text: String = table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    Ok(output::write(&text)?)
}
