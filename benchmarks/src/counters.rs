//! Costs that do not depend on the machine: what a fixed set of queries reads and runs, and in release
//! mode how many instructions and allocations that takes.
//!
//! The numbers are kept in `benchmarks/counters.txt`, and a test compares the ones that are the same in
//! every build.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use engine::MAX_EXEMPLARS;
use object_store::memory::InMemory;
use storage::Snapshot;
use storage::block::{EncodeOptions, ReadBack, WriteOptions, encode, store_block, write_parquet};
use storage::ids::{BlockId, TenantId};
use storage::store::StoreLocation;
use testkit::generate::Workload;
use tokio::runtime::Runtime;
use ulid::Ulid;

use crate::callgrind;
use crate::contender::{Cache, Contender as _, Spandrel};
use crate::dataset::runtime;
use crate::error::BenchError;
use crate::planning::Fixed;
use crate::suite::{METRICS, Question};

/// Small enough for a debug build, and in several blocks of one row group each: these are never cut,
/// so that the number of jobs does not depend on the number of cores.
const SPANS: u64 = 20_000;
const BLOCKS: usize = 4;
const BATCH_SPANS: usize = 500;
const BATCHES_PER_BLOCK: usize = 10;
const SEED: u64 = 1;
const INTERVAL_NS: i64 = 60_000_000_000;
/// What is asked: one of each kind of work.
const QUESTIONS: [&str; 9] = [
    "count",
    "rate by service",
    "errors by service",
    "p99 by service",
    "one service by status",
    "slow and failed",
    "topk of users",
    "descendant",
    "compare",
];
/// What is asked once more with as many exemplars as Grafana gets: over all rows, over rows that a
/// condition and groups pick, and over whole traces.
const WITH_EXEMPLARS: [&str; 3] = ["count", "errors by service", "descendant"];
/// Files compress a little differently with every release of the compressor.
const BYTES_TOLERANCE: f64 = 0.02;
/// Instructions and allocations move with compilers and thread timing.
const WORK_TOLERANCE: f64 = 0.05;
const UPDATE: &str = "target/release/spandrel-bench counters --update";

#[derive(Debug, Args)]
pub(crate) struct CountersOptions {
    /// Write the numbers to the file instead of comparing them with it
    #[arg(long)]
    update: bool,
    /// Only ask this query, so many times as --times says; for a tool that counts instructions
    #[arg(long, requires = "times", hide = true)]
    probe: Option<String>,
    #[arg(long, hide = true)]
    times: Option<u32>,
}

/// The costs of a query by name.
type Costs = BTreeMap<String, u64>;
/// The costs of every query.
type Table = BTreeMap<String, Costs>;

pub(crate) fn run(options: &CountersOptions) -> Result<(), BenchError> {
    let runtime = runtime()?;
    if let (Some(name), Some(times)) = (&options.probe, options.times) {
        return probe(name, times, &runtime);
    }
    let mut table = count(&runtime)?;
    let kept = read(&file())?;
    if cfg!(debug_assertions) {
        println!("instructions and allocations are counted in release mode only");
    } else {
        add_work(&mut table)?;
    }
    if options.update {
        // What was not counted this time stays.
        for (name, costs) in &mut table {
            for (cost, value) in kept.get(name).into_iter().flatten() {
                costs.entry(cost.clone()).or_insert(*value);
            }
        }
        let path = file();
        return fs::write(&path, print(&table)).map_err(BenchError::file("write", path));
    }
    print!("{}", print(&table));
    match regressions(&kept, &table) {
        found if found.is_empty() => Ok(()),
        found => Err(BenchError::Input(found)),
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("counters.txt")
}

/// A query of the table.
struct Case {
    name: String,
    question: &'static Question,
    exemplars: usize,
}

fn cases() -> impl Iterator<Item = Case> {
    let questions = |names: &'static [&'static str]| {
        METRICS
            .iter()
            .filter(move |question| names.contains(&question.name))
    };
    let bare = questions(&QUESTIONS).map(|question| Case {
        name: question.name.replace(' ', "_"),
        question,
        exemplars: 0,
    });
    bare.chain(questions(&WITH_EXEMPLARS).map(|question| Case {
        name: format!("{}_with_exemplars", question.name.replace(' ', "_")),
        question,
        exemplars: MAX_EXEMPLARS,
    }))
}

/// Spandrel over a few small blocks in memory, which are the same every time.
pub(crate) fn small(runtime: &Runtime) -> Result<(Spandrel, engine::Grid), BenchError> {
    let workload = Workload {
        batch_spans: BATCH_SPANS,
        ..Workload::new(SEED, SPANS)
    };
    let mut batches = workload.batches().fuse();
    let groups = std::array::from_fn::<_, BLOCKS, _>(|_| {
        batches
            .by_ref()
            .take(BATCHES_PER_BLOCK)
            .flatten()
            .collect::<Vec<_>>()
    });
    let location = StoreLocation {
        store: Arc::new(InMemory::new()),
        prefix: object_store::path::Path::default(),
        url: "memory:".to_owned(),
    };
    let mut snapshot = Snapshot::empty(TenantId::single());
    for (groups, number) in groups.iter().zip(1..) {
        let id = BlockId(Ulid::from_parts(number, 0));
        let block = encode(groups, &EncodeOptions::new(TenantId::single(), id))?;
        let encoded = write_parquet(&block, &WriteOptions::default())?;
        let stored = store_block(&location.store, &location.prefix, encoded, ReadBack::Verify);
        snapshot.stored.push(runtime.block_on(stored)?);
    }
    let grid = engine::Grid::aligned(
        workload.start_ns,
        workload.start_ns + workload.length_ns,
        INTERVAL_NS,
    );
    let grid = grid.ok_or_else(|| BenchError::Input("no grid".to_owned()))?;
    let source = Arc::new(Fixed(snapshot));
    let spandrel = Spandrel::over(location, source, 2, Cache::Off, runtime.handle().clone())?;
    Ok((spandrel, grid))
}

/// What each query reads and runs, the first time and the next.
fn count(runtime: &Runtime) -> Result<Table, BenchError> {
    let (mut spandrel, grid) = small(runtime)?;
    let mut table = Table::new();
    for case in cases() {
        spandrel.forget()?;
        let mut costs = Costs::new();
        for state in ["cold", "warm"] {
            spandrel.ask_with_exemplars(case.question.text, grid, case.exemplars)?;
            let stats = &spandrel.stats;
            costs.insert(format!("{state}_bytes"), stats.inspected_bytes);
            costs.insert(format!("{state}_requests"), stats.storage_requests);
            costs.insert("rows".to_owned(), stats.inspected_spans);
            costs.insert("jobs".to_owned(), stats.jobs_total);
        }
        table.insert(case.name, costs);
    }
    Ok(table)
}

/// Asks one query again and again.
fn probe(name: &str, times: u32, runtime: &Runtime) -> Result<(), BenchError> {
    let case = cases().find(|case| case.name == name);
    let case = case.ok_or_else(|| BenchError::Input(format!("no query {name}")))?;
    let (mut spandrel, grid) = small(runtime)?;
    for _ in 0..times {
        spandrel.ask_with_exemplars(case.question.text, grid, case.exemplars)?;
    }
    Ok(())
}

/// Adds instructions and allocations of asking each query, on average over some times; the first is
/// the cold one.
fn add_work(table: &mut Table) -> Result<(), BenchError> {
    const TIMES: u64 = 10;
    let own = std::env::current_exe().map_err(BenchError::file("find", "this program"))?;
    let measure = |name: &str, times: u64| {
        eprintln!("{name}, {times} times");
        let mut command = Command::new(&own);
        let times = times.to_string();
        command.args(["counters", "--probe", name, "--times", times.as_str()]);
        callgrind::run(&command)
    };
    // Making the blocks, and asking nothing.
    let Some(first) = table.keys().next().cloned() else {
        return Ok(());
    };
    let Some(nothing) = measure(&first, 0)? else {
        return Ok(());
    };
    for (name, costs) in table {
        let Some(all) = measure(name, TIMES)? else {
            return Ok(());
        };
        for (cost, all, nothing) in [
            ("instructions", all.instructions, nothing.instructions),
            ("allocations", all.allocations, nothing.allocations),
        ] {
            costs.insert(cost.to_owned(), all.saturating_sub(nothing) / TIMES);
        }
    }
    Ok(())
}

/// Costs that grew or shrank by more than they may.
fn regressions(kept: &Table, counted: &Table) -> String {
    let mut found = String::new();
    for (name, costs) in counted {
        for (cost, &value) in costs {
            let Some(&expected) = kept.get(name).and_then(|costs| costs.get(cost)) else {
                let _ = writeln!(found, "{name}: {cost} is not in the file, and is {value}");
                continue;
            };
            let tolerance = match cost.as_str() {
                "cold_bytes" | "warm_bytes" => BYTES_TOLERANCE,
                "instructions" | "allocations" => WORK_TOLERANCE,
                _ => 0.0,
            };
            if value.abs_diff(expected) as f64 > tolerance * expected as f64 {
                let more = if value > expected { "more" } else { "less" };
                let _ = writeln!(found, "{name}: {cost} is {value}, {more} than {expected}");
            }
        }
    }
    if !found.is_empty() {
        let _ = write!(
            found,
            "If that is as it should be, write the new numbers to benchmarks/counters.txt with\n    {UPDATE}\n\
             and say in the change why they moved."
        );
    }
    found
}

fn print(table: &Table) -> String {
    let mut text = format!(
        "# What a fixed set of queries costs, whatever the machine: {SPANS} spans in {BLOCKS} blocks.\n\
         # Written by `{UPDATE}`.\n"
    );
    for (name, costs) in table {
        let _ = write!(text, "\n{name}\n");
        for (cost, value) in costs {
            let _ = writeln!(text, "  {cost} {value}");
        }
    }
    text
}

fn read(path: &Path) -> Result<Table, BenchError> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut table = Table::new();
    let mut name = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["#", ..] => {}
            [query] if !line.starts_with(' ') => name = (*query).to_owned(),
            [cost, value] => {
                let value = value.parse().map_err(|_| {
                    BenchError::Input(format!("{}: {line} is no number", path.display()))
                })?;
                let costs = table.entry(name.clone()).or_default();
                costs.insert((*cost).to_owned(), value);
            }
            _ => {
                let path = path.display();
                return Err(BenchError::Input(format!("{path}: {line} means nothing")));
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_what_they_were() {
        let counted = count(&runtime().unwrap()).unwrap();
        let found = regressions(&read(&file()).unwrap(), &counted);
        assert!(found.is_empty(), "\n{found}");
    }

    #[test]
    fn more_and_less_are_found() {
        let table = |bytes, jobs| {
            let costs = [("warm_bytes", bytes), ("jobs", jobs)];
            let costs = costs.map(|(cost, value)| (cost.to_owned(), value));
            Table::from([("count".to_owned(), Costs::from(costs))])
        };
        let kept = table(1000, 4);
        assert_eq!(regressions(&kept, &table(1010, 4)), "");
        for moved in [table(1100, 4), table(900, 4), table(1000, 5)] {
            assert!(regressions(&kept, &moved).contains(UPDATE), "{moved:?}");
        }
    }

    #[test]
    fn the_file_reads_as_it_prints() {
        let costs = Costs::from([("jobs".to_owned(), 4)]);
        let table = Table::from([("count".to_owned(), costs)]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters.txt");
        fs::write(&path, print(&table)).unwrap();
        assert_eq!(read(&path).unwrap(), table);
    }
}
