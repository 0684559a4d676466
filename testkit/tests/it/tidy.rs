//! What holds for the repository as a whole: its layers, its documents, its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};
use testkit::corpus::load_dir;
use testkit::testdata::workspace_root;

/// Which crates of the workspace each crate may depend on. A new edge is a decision.
pub(crate) const EDGES: &[(&str, &[&str])] = &[
    ("traceql", &[]),
    ("storage", &[]),
    ("ingest", &["storage"]),
    ("engine", &["traceql", "storage"]),
    ("frontend", &["engine", "storage", "traceql"]),
    (
        "server",
        &["frontend", "ingest", "engine", "storage", "traceql"],
    ),
    ("testkit", &["traceql", "storage"]),
    (
        "benchmarks",
        &[
            "engine", "frontend", "ingest", "storage", "traceql", "testkit", "server",
        ],
    ),
];

/// Crates of which a second version would be incompatible with the first.
const ONE_VERSION: &[&str] = &["arrow", "parquet", "object_store", "datafusion"];

#[test]
fn crates_depend_only_downwards() {
    let metadata = MetadataCommand::new()
        .manifest_path(workspace_root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata works");
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the table of edges"));
            continue;
        };
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let in_workspace = EDGES.iter().any(|&(other, _)| other == to);
            let for_tests = dependency.kind == DependencyKind::Development
                && to == "testkit"
                && name != "testkit";
            if in_workspace && !allowed.contains(&to) && !for_tests {
                wrong.push(format!("{name} depends on {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn there_is_one_version_of_each_shared_crate() {
    let lock = read(&workspace_root().join("Cargo.lock"));
    for name in ONE_VERSION {
        let versions = lock
            .lines()
            .filter(|line| *line == format!("name = \"{name}\""))
            .count();
        assert_eq!(versions, 1, "versions of {name}");
    }
}

#[test]
fn corpus_files_parse() {
    let files =
        load_dir(&workspace_root().join("testdata/traceql/eval")).expect("corpus files parse");
    for file in files {
        assert!(
            !file.cases.is_empty(),
            "{} has no case",
            file.path.display()
        );
    }
}

#[test]
fn documents_name_paths_that_exist() {
    let root = workspace_root();
    let mut missing = Vec::new();
    for document in documents(&root) {
        let text = read(&document);
        let folder = document.parent().expect("a file is in a folder");
        for path in quoted_paths(&text).filter(|path| looks_like_path(&root, path)) {
            // Where the program puts things when it runs, not where they are in the repository.
            if path.starts_with("./") {
                continue;
            }
            if !exists(&root, path) {
                missing.push(format!("{}: `{path}`", document.display()));
            }
        }
        for path in linked_paths(&text) {
            if !exists(folder, path) {
                missing.push(format!("{}: link to {path}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_file_names_a_path_of_some_machine() {
    // Put together here, so that this file does not contain them.
    let forbidden = [concat!("/wo", "rk/"), concat!("/tmp/", "target")];
    let mut found = Vec::new();
    for path in files(&workspace_root()) {
        // What is no text cannot be read as such and is left out.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for word in forbidden.iter().filter(|word| text.contains(**word)) {
            found.push(format!("{}: {word}", path.display()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// The documents whose paths are checked.
fn documents(root: &Path) -> Vec<PathBuf> {
    let at_root = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    let mut documents: Vec<PathBuf> = at_root.into_iter().filter(|path| path.is_file()).collect();
    let in_docs = files(&root.join("docs")).into_iter();
    documents
        .extend(in_docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    documents
}

/// All files below a folder, without build output and version control.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            // Beside a clone `.git` is a folder, in a work tree a file.
            if ["target", ".git"].contains(&name) {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// What stands between single backticks, outside fenced blocks.
fn quoted_paths(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Targets of links that are neither addresses nor places in the same document.
fn linked_paths(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// A path of the repository begins with one of its folders, or is a file name of its root.
fn looks_like_path(root: &Path, text: &str) -> bool {
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let Some((first, _)) = text.split_once('/') else {
        return is_plain
            && text.ends_with(".md")
            && text.chars().next().is_some_and(char::is_uppercase);
    };
    is_plain && !first.is_empty() && root.join(first).is_dir()
}

fn exists(folder: &Path, path: &str) -> bool {
    folder
        .join(path.trim_end_matches('/'))
        .symlink_metadata()
        .is_ok()
}

#[test]
fn paths_are_found_in_prose_only() {
    let text = "see `engine/src/lib.rs` and [that](docs/format/block.md#top), `a b`\n```\n`engine/no`\n```\n[w](https://x.y)";
    assert_eq!(
        quoted_paths(text).collect::<Vec<_>>(),
        ["engine/src/lib.rs", "a b"]
    );
    assert_eq!(
        linked_paths(text).collect::<Vec<_>>(),
        ["docs/format/block.md"]
    );
}
