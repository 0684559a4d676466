//! Commands that keep a storage in order: what they say, and what is stored afterwards.

use std::path::{Path, PathBuf};

use serde_json::Value;
use testkit::testdata::samples;

use crate::harness::{Server, Window, run, said};

/// Spans of the recording of the demo.
const SPANS: u64 = 1_500;

/// The recording of the demo in two files, which cut traces.
fn halves(folder: &Path) -> [PathBuf; 2] {
    let sets = samples().unwrap();
    let set = sets
        .iter()
        .find(|set| set.name.contains("oteldemo"))
        .unwrap();
    let lines = set
        .requests
        .to_str()
        .unwrap()
        .replace(".otlp.zst", ".jsonl.zst");
    let text = zstd::decode_all(std::fs::File::open(lines).unwrap()).unwrap();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let (first, second) = lines.split_at(lines.len() / 2);
    [("first", first), ("second", second)].map(|(name, lines)| {
        let path = folder.join(name);
        std::fs::write(&path, lines.concat()).unwrap();
        path
    })
}

/// Loads both halves, each as a block of its own. What the last load says.
fn loaded(data_dir: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut last = String::new();
    for file in halves(folder.path()) {
        let (code, stdout, stderr) = done(data_dir, &["load", "--quiet", file.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{stderr}");
        last = stdout;
    }
    last
}

fn done(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut all = arguments.to_vec();
    all.extend(["--data-dir", data_dir.to_str().unwrap()]);
    said(&run(&all))
}

fn counted(data_dir: &Path, query: &str, more: &[&str]) -> u64 {
    let mut arguments = vec!["query", query, "--instant", "--output", "json"];
    arguments.extend(more);
    let (code, stdout, stderr) = done(data_dir, &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    let value = json["result"][0]["value"][1].as_str().unwrap_or("0");
    value.parse().unwrap()
}

#[test]
fn blocks_are_merged_checked_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    loaded(folder.path());
    let count = "{} | count_over_time()";
    let (_, stdout, _) = done(folder.path(), &["compact", "--dry-run"]);
    assert!(stdout.starts_with("would merge 2 blocks"), "{stdout}");
    let (code, stdout, stderr) = done(folder.path(), &["compact"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.starts_with("merged 2 blocks") && stdout.contains("0 that came twice"),
        "{stdout}"
    );
    assert_eq!(counted(folder.path(), count, &[]), SPANS);
    // Before that, what was stored then is still readable.
    assert!(counted(folder.path(), count, &["--catalog-version", "2"]) == SPANS);
    let (code, _, stderr) = done(
        folder.path(),
        &["query", count, "--instant", "--catalog-version", "99"],
    );
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("version 99"), "{stderr}");
    let (code, stdout, _) = done(folder.path(), &["compact"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("nothing to merge"), "{stdout}");

    let (code, stdout, _) = done(folder.path(), &["storage", "stats", "--json"]);
    assert_eq!(code, Some(0));
    let stats: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(stats[0]["spans"], SPANS, "{stats}");
    let (code, stdout, _) = done(folder.path(), &["storage", "verify"]);
    assert_eq!(code, Some(0), "{stdout}");
    let (code, stdout, _) = done(folder.path(), &["storage", "gc"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("nothing was removed"), "{stdout}");
}

/// Also where only some of its spans are there, and whatever became of the blocks meanwhile.
#[test]
fn a_file_loaded_again_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let count = "{} | count_over_time()";
    loaded(folder.path());
    for compacted in [false, true] {
        if compacted {
            assert_eq!(done(folder.path(), &["compact"]).0, Some(0));
        }
        let said = loaded(folder.path());
        assert!(
            said.contains("spans were stored already") && said.starts_with("loaded 0 "),
            "{said}"
        );
        assert_eq!(counted(folder.path(), count, &[]), SPANS);
    }
    let deleted = ["delete", "--query", "{ status = error }", "--yes"];
    assert_eq!(done(folder.path(), &deleted).0, Some(0));
    assert!(counted(folder.path(), count, &[]) < SPANS);
    let said = loaded(folder.path());
    assert!(said.contains("spans were stored already"), "{said}");
    assert_eq!(counted(folder.path(), count, &[]), SPANS);
}

#[test]
fn traces_are_deleted_only_if_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    loaded(folder.path());
    let all = counted(folder.path(), "{} | count_over_time()", &[]);
    let errors = "{ status = error }";
    let (code, stdout, stderr) = done(folder.path(), &["delete", "--query", errors]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        stdout.starts_with("would delete ") && stdout.contains("--yes"),
        "{stdout}"
    );
    assert_eq!(counted(folder.path(), "{} | count_over_time()", &[]), all);

    let (code, stdout, _) = done(
        folder.path(),
        &["delete", "--query", errors, "--yes", "--json"],
    );
    assert_eq!(code, Some(0));
    let receipt: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(receipt["catalog_version"], 3, "{receipt}");
    assert_eq!(receipt["trace_ids_sha256"].as_str().unwrap().len(), 64);
    let spans = receipt["spans"].as_u64().unwrap();
    assert!(
        receipt["traces"].as_u64().unwrap() > 0 && spans > 0,
        "{receipt}"
    );
    assert_eq!(
        counted(folder.path(), "{} | count_over_time()", &[]),
        all - spans
    );
    let left = format!("{errors} | count_over_time()");
    assert_eq!(counted(folder.path(), &left, &[]), 0);

    let nowhere = "00000000000000000000000000000abc";
    let (code, stdout, _) = done(folder.path(), &["delete", "--trace", nowhere, "--yes"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("nothing to delete"), "{stdout}");
}

#[test]
fn wrong_deletions_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    loaded(folder.path());
    for (arguments, expected) in [
        (&["delete"][..], "--trace"),
        (&["delete", "--trace", "xyz"], "--trace xyz"),
        (&["delete", "--query", "{ status = eror }"], "eror"),
        (
            &["delete", "--query", "{}", "--from", "yesterday"],
            "--from",
        ),
        (
            &["delete", "--query", "{}", "--from", "now", "--to", "-1h"],
            "--to is before --from",
        ),
        (&["delete", "--trace", "1", "--from", "-1h"], "--query"),
    ] {
        let (code, _, stderr) = done(folder.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_backup_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let backup = folder.path().join("backup");
    let to = backup.to_str().unwrap();
    loaded(&data);
    assert_eq!(done(&data, &["compact"]).0, Some(0));
    let query = "{} | count_over_time()";
    let (code, stdout, _) = done(&data, &["storage", "backup", "--to", to, "--dry-run"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("would copy version 3 ") && !backup.join("single-tenant").is_dir());
    for _ in 0..2 {
        let (code, stdout, stderr) = done(&data, &["storage", "backup", "--to", to]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        assert!(stdout.starts_with("copied version 3 "), "{stdout}");
    }
    // The next one to the same place copies what is new.
    assert_eq!(
        done(&data, &["delete", "--query", "{ status = error }", "--yes"]).0,
        Some(0)
    );
    assert_eq!(done(&data, &["storage", "backup", "--to", to]).0, Some(0));
    let (code, _, stderr) = done(
        &data,
        &["storage", "backup", "--to", to, "--catalog-version", "3"],
    );
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("has version 4"), "{stderr}");

    let (code, _, stderr) = done(&other, &["storage", "restore", "--from", to]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(counted(&other, query, &[]), counted(&data, query, &[]));
    assert_eq!(done(&other, &["storage", "verify"]).0, Some(0));
    // And is a storage like any other.
    let left = counted(&other, query, &[]);
    assert!(left < SPANS);
    loaded(&other);
    assert_eq!(counted(&other, query, &[]), SPANS);
    let (code, _, stderr) = done(&other, &["storage", "restore", "--from", to]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("in version"), "{stderr}");
    let (code, _, stderr) = done(&other, &["storage", "restore", "--from", "/no/such/folder"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no folder"), "{stderr}");
}

#[test]
fn a_damaged_block_is_not_taken_into_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    loaded(&data);
    let blocks = data.join("store/single-tenant/blocks");
    let spread = std::fs::read_dir(blocks)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let block = std::fs::read_dir(spread)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let file = block.join("spans.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let backup = folder.path().join("backup");
    let (code, _, stderr) = done(
        &data,
        &["storage", "backup", "--to", backup.to_str().unwrap()],
    );
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("SHA-256") && stderr.contains("spans.parquet"),
        "{stderr}"
    );
    assert!(
        !backup.join("single-tenant/catalog").is_dir(),
        "half a backup is none"
    );
}

/// A sender that got no answer batches anew: part of what it sends is stored already.
#[tokio::test]
async fn a_span_sent_again_in_another_batch_is_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [
        "live_store.max_block_duration=300ms",
        "live_store.max_trace_idle=100ms",
    ];
    let server = Server::start(folder.path(), &sets).await;
    let halves = halves(folder.path());
    let all = folder.path().join("all");
    let both = halves
        .each_ref()
        .map(|half| std::fs::read(half).unwrap())
        .concat();
    std::fs::write(&all, &both).unwrap();
    for lines in [&halves[0], &all, &halves[1]] {
        // All lines as one request, so that no request is the same as one before.
        let requests: Vec<Value> = std::fs::read_to_string(lines)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let parts = requests
            .iter()
            .flat_map(|request| request["resourceSpans"].as_array().unwrap());
        let request = serde_json::json!({ "resourceSpans": parts.collect::<Vec<_>>() });
        let url = format!("http://{}/v1/traces", server.otlp_http);
        let posted = server.client.post(url).body(request.to_string());
        let posted = posted.header("content-type", "application/json");
        assert!(posted.send().await.unwrap().status().is_success());
        tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
    }
    assert_eq!(server.count("{}", Window::ALL).await, SPANS);
    assert!(server.terminate().await.success());
    assert_eq!(counted(folder.path(), "{} | count_over_time()", &[]), SPANS);
}
