//! Inside each crate a file imports from its own floor or from below, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use testkit::testdata::workspace_root;

use crate::imports::{Import, Imports};
use crate::tidy::EDGES;

/// A name, and the files and folders below `src` that are on the floor. What a folder of one floor has
/// on another is named there.
type Floor = (&'static str, &'static [&'static str]);

/// The floors of crates, from the ground up. Above them all is the root of the crate.
const FLOORS: &[(&str, &[Floor])] = &[
    (
        "storage",
        &[
            (
                "words",
                &[
                    "clock.rs",
                    "random.rs",
                    "ids.rs",
                    "error.rs",
                    "model.rs",
                    "layout.rs",
                    "block/meta.rs",
                ],
            ),
            ("schema", &["schema"]),
            ("otlp", &["otlp"]),
            ("block", &["block"]),
            ("reading blocks", &["block/read"]),
            ("writing blocks", &["block/write"]),
            ("compaction", &["compaction"]),
            ("catalog", &["catalog"]),
            ("maintenance", &["maintenance"]),
            ("snapshot", &["snapshot.rs"]),
            ("store", &["store"]),
        ],
    ),
    (
        "engine",
        &[
            (
                "words",
                &[
                    "error.rs",
                    "limit.rs",
                    "index.rs",
                    "rows.rs",
                    "threads.rs",
                    "grid.rs",
                    "fingerprint.rs",
                    "types.rs",
                    "columns.rs",
                    "batch.rs",
                    "operator.rs",
                ],
            ),
            ("questions", &["plan", "prune.rs"]),
            ("numbers", &["aggregate", "functions", "series", "key"]),
            (
                "traces",
                &[
                    "slice.rs",
                    "pair_cache.rs",
                    "pieces.rs",
                    "context.rs",
                    "spanset",
                ],
            ),
            ("lowering", &["lower"]),
            ("reading", &["provider", "scan.rs"]),
            (
                "features",
                &[
                    "physical",
                    "compare",
                    "partial",
                    "show.rs",
                    "search",
                    "exemplars",
                ],
            ),
            ("jobs", &["session.rs", "kinds", "read_size.rs"]),
            ("engine", &["executor.rs", "work.rs"]),
        ],
    ),
    (
        "traceql",
        &[
            (
                "words",
                &[
                    "text_range.rs",
                    "limits.rs",
                    "dialect.rs",
                    "duration.rs",
                    "suggest.rs",
                ],
            ),
            (
                "tree",
                &["ast", "types.rs", "attributes.rs", "names", "notice.rs"],
            ),
            ("refusals", &["cause.rs", "diagnostic.rs", "error.rs"]),
            ("patterns", &["regex"]),
            ("tokens", &["lexer", "operators.rs"]),
            ("grammar", &["grammar"]),
            ("meaning", &["analyze", "print"]),
        ],
    ),
    (
        "ingest",
        &[
            (
                "words",
                &[
                    "error.rs",
                    "config.rs",
                    "metrics.rs",
                    "budget.rs",
                    "disk.rs",
                    "connections",
                ],
            ),
            (
                "one request",
                &["decompress.rs", "json", "prescan", "limits", "rates.rs"],
            ),
            ("memory", &["head.rs", "retries.rs"]),
            ("log", &["wal"]),
            ("work", &["prepare.rs", "flush.rs"]),
            ("receive path", &["ingest"]),
            ("protocols", &["receive"]),
        ],
    ),
    (
        "frontend",
        &[
            (
                "words",
                &[
                    "duration.rs",
                    "config.rs",
                    "error.rs",
                    "stats.rs",
                    "answer.rs",
                    "observe.rs",
                    "limits.rs",
                    "metrics.rs",
                    "snapshots.rs",
                    "threads.rs",
                ],
            ),
            (
                "what to read",
                &[
                    "blocks.rs",
                    "split.rs",
                    "survivors.rs",
                    "filter.rs",
                    "value_sources.rs",
                ],
            ),
            ("who reads it", &["turns.rs", "schedule.rs", "workers.rs"]),
            (
                "steps",
                &[
                    "joins.rs",
                    "cache",
                    "merge.rs",
                    "cut.rs",
                    "combine.rs",
                    "execute.rs",
                    "exemplars.rs",
                ],
            ),
            ("the path", &["query.rs"]),
            (
                "beside the path",
                &[
                    "names.rs",
                    "typed_value.rs",
                    "values.rs",
                    "search.rs",
                    "trace.rs",
                    "viewer.rs",
                ],
            ),
            ("HTTP", &["promql", "api"]),
        ],
    ),
    (
        "server",
        &[
            ("words", &["failure.rs", "output.rs", "config"]),
            ("times and the process log", &["times.rs", "telemetry.rs"]),
            ("drawing", &["render"]),
            ("access to spans", &["local.rs", "client.rs", "load"]),
            ("whole processes", &["serve", "demo"]),
            ("commands", &["cli"]),
        ],
    ),
    (
        "testkit",
        &[
            ("reference", &["reference"]),
            ("comparing", &["compare"]),
            ("generators", &["generate"]),
            ("corpora", &["corpus"]),
            ("recordings", &["facts.rs", "testdata.rs"]),
            ("time", &["clock.rs"]),
        ],
    ),
];

/// Files that import from each other, and why they may.
const CIRCLES: &[(&str, &[&str], &str)] = &[
    (
        "traceql",
        &[
            "grammar/group.rs",
            "grammar/pipeline.rs",
            "grammar/spanset.rs",
        ],
        "the language is recursive",
    ),
    (
        "traceql",
        &["print/mod.rs", "print/operand.rs"],
        "the language is recursive",
    ),
    (
        "engine",
        &["spanset/run.rs", "spanset/scalar.rs"],
        "a scalar may hold a pipeline, and a pipeline a scalar",
    ),
    (
        "testkit",
        &["reference/pipeline.rs", "reference/scalar.rs"],
        "a scalar may hold a pipeline, and a pipeline a scalar",
    ),
];

#[test]
fn files_import_from_their_floor_or_below() {
    let mut wrong = Vec::new();
    for &(krate, floors) in FLOORS {
        let read = read(krate);
        for file in &read.files[1..] {
            if floor_of(file, floors).is_none() {
                wrong.push(format!("{krate}: no floor has {file}"));
            }
        }
        let entries = floors.iter().flat_map(|(_, entries)| *entries);
        for entry in entries.filter(|entry| !read.files.iter().any(|file| is_in(file, entry))) {
            wrong.push(format!("{krate}: a floor has {entry}, which is not there"));
        }
        for import in &read.imports {
            let Some(from) = floor_of(&import.from, floors) else {
                continue;
            };
            let to = floor_of(&import.to, floors);
            if to.is_none_or(|to| to > from) {
                let name = |floor: Option<usize>| floor.map_or("the root", |floor| floors[floor].0);
                let (from, to) = (name(Some(from)), name(to));
                wrong.push(format!(
                    "{krate}: {} (from {from} up to {to})",
                    shown(import)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_do_not_import_from_each_other() {
    let mut wrong = Vec::new();
    for &(krate, _) in EDGES {
        let read = read(krate);
        let allowed = CIRCLES.iter().filter(|(of, ..)| *of == krate);
        let allowed: Vec<BTreeSet<&str>> = allowed
            .map(|(_, files, _)| files.iter().copied().collect())
            .collect();
        let found = circles(&read.imports);
        let others = found.iter().filter(|circle| !allowed.contains(circle));
        for gone in allowed.iter().filter(|allowed| !found.contains(allowed)) {
            wrong.push(format!("{krate}: no circle any more: {gone:?}"));
        }
        for circle in others {
            let mut pairs = BTreeMap::new();
            for import in &read.imports {
                let (from, to) = (&*import.from, &*import.to);
                if circle.contains(from) && circle.contains(to) {
                    pairs.entry((from, to)).or_insert_with(|| shown(import));
                }
            }
            wrong.extend(pairs.values().map(|pair| format!("{krate}: {pair}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn read(krate: &str) -> Imports {
    Imports::read_folder(&workspace_root().join(krate).join("src"))
}

fn shown(import: &Import) -> String {
    let Import {
        from,
        line,
        path,
        to,
    } = import;
    format!("{from}:{line} imports {path} of {to}")
}

/// The floor of a file, by what names it most closely.
fn floor_of(file: &str, floors: &[Floor]) -> Option<usize> {
    let entries = floors.iter().enumerate();
    let entries =
        entries.flat_map(|(at, (_, entries))| entries.iter().map(move |entry| (at, entry)));
    let of_file = entries.filter(|(_, entry)| is_in(file, entry));
    of_file
        .max_by_key(|(_, entry)| entry.len())
        .map(|(at, _)| at)
}

/// Whether a file is the one of this path, or in the folder.
fn is_in(file: &str, path: &str) -> bool {
    let rest = file.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Sets of files each of which leads to each other one.
fn circles(imports: &[Import]) -> Vec<BTreeSet<&str>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().push(&import.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next
        .keys()
        .map(|file| (*file, reached_from(file, &next)))
        .collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, reached_from_it) in &reached {
        let is_known = circles.iter().any(|circle| circle.contains(file));
        if is_known || !reached_from_it.contains(file) {
            continue;
        }
        let leads_back =
            |other: &&str| reached.get(other).is_some_and(|there| there.contains(file));
        circles.push(reached_from_it.iter().copied().filter(leads_back).collect());
    }
    circles
}

/// The files that a file leads to, over any number of imports.
fn reached_from<'a>(file: &'a str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let unseen = next.get(file).into_iter().flatten().copied();
        open.extend(unseen.filter(|file| reached.insert(*file)));
    }
    reached
}

#[test]
fn circles_are_found_whole() {
    let import = |(from, to): (&str, &str)| Import {
        from: from.to_owned(),
        line: 1,
        path: String::new(),
        to: to.to_owned(),
    };
    let pairs = [
        ("a", "b"),
        ("b", "c"),
        ("c", "b"),
        ("c", "d"),
        ("d", "e"),
        ("e", "f"),
        ("f", "d"),
    ];
    let imports: Vec<Import> = pairs.into_iter().map(import).collect();
    let expected = [BTreeSet::from(["b", "c"]), BTreeSet::from(["d", "e", "f"])];
    assert_eq!(circles(&imports), expected);
}

#[test]
fn the_closest_name_says_the_floor() {
    let floors: &[Floor] = &[("low", &["a", "b/c.rs"]), ("high", &["b", "a/x"])];
    let floor = |file| floor_of(file, floors);
    assert_eq!(floor("a/mod.rs"), Some(0));
    assert_eq!(floor("a/x/y.rs"), Some(1));
    assert_eq!(floor("b/c.rs"), Some(0));
    assert_eq!(floor("b/d.rs"), Some(1));
    assert_eq!(floor("abc.rs"), None);
}
