//! The commands, as typed.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use storage::{Clock as _, SystemClock};
use testkit::testdata::traces_dir;

use crate::bad_input::find;
use crate::harness::{Server, run, run_on_free_ports, said, spandrel};

fn sample(name: &str) -> String {
    traces_dir().join(name).display().to_string()
}

#[test]
fn a_typo_gets_a_suggestion() {
    let (code, _, stderr) = said(&run(&["quary"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("'query'"), "{stderr}");
    let (code, _, stderr) = said(&run(&["serve", "--set", "server.htp_listen_port=1"]));
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("did you mean `server.http_listen_port`?"),
        "{stderr}"
    );
}

#[test]
fn queries_are_checked_one_json_line_each() {
    let output = run(&[
        "traceql",
        "check",
        "{ .a = 1 } | rate()",
        "{ .a = ",
        "{ spam.b = 1 }",
    ]);
    let (code, stdout, _) = said(&output);
    assert_eq!(code, Some(1));
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let verdicts: Vec<_> = lines
        .iter()
        .map(|line| line["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts[..2], ["valid", "parse_error"]);
    assert_eq!(lines[0]["query"], "{ .a = 1 } | rate()");
    assert!(lines[0]["canonical"].is_string() && lines[0]["message"].is_null());
    assert!(lines[1]["canonical"].is_null() && lines[1]["message"].is_string());

    assert!(lines[0].get("notices").is_none());

    let mixed = "{ .a } ||\n{ .b } && { parent:name = \"x\" }";
    let (code, stdout, _) = said(&run(&["traceql", "check", mixed]));
    let line: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &line["verdict"]), (Some(0), &"valid".into()));
    let notice = &line["notices"][0];
    assert_eq!((&notice["line"], &notice["column"]), (&1.into(), &1.into()));
    assert!(notice["message"].as_str().unwrap().contains("parentheses"));
    let (code, stdout, _) = said(&run(&["traceql", "check", "--dialect", "tempo", mixed]));
    let line: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &line["verdict"]), (Some(1), &"parse_error".into()));
    assert!(line.get("notices").is_none());

    let mut child = spandrel()
        .args([
            "traceql",
            "check",
            "--dialect",
            "tempo",
            "--json-lines",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"\"{ }\"\n\"{ name = \\\"a\\\" }\"\n")
        .unwrap();
    let (code, stdout, _) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, stdout.lines().count()), (Some(0), 2));
}

#[test]
fn a_query_with_a_typo_shows_where() {
    let (code, stdout, stderr) = said(&run(&["query", "{ spam.a = 1 } | rate()"]));
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr.contains("\n  { spam.a = 1 } | rate()\n") && stderr.contains('^'),
        "{stderr}"
    );
}

#[test]
fn no_server_says_what_to_do() {
    let (code, _, stderr) = said(&run(&[
        "query",
        "{} | rate()",
        "--server",
        "http://127.0.0.1:1",
    ]));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("no server answers at http://127.0.0.1:1") && stderr.contains("--data-dir"),
        "{stderr}"
    );
}

#[test]
fn no_data_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    let (code, _, stderr) = said(&run(&[
        "query",
        "{} | rate()",
        "--data-dir",
        missing.to_str().unwrap(),
    ]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("spandrel load"), "{stderr}");
    assert!(!missing.is_dir(), "a query makes no folders");
}

#[test]
fn load_query_explain_and_inspect() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let (code, stdout, stderr) = said(&run(&[
        "load",
        "--data-dir",
        data_dir,
        &sample("oteldemo.sample.otlp.zst"),
        &sample("trainticket.sample.jsonl.zst"),
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.starts_with("loaded 2,999 spans into 1 blocks"),
        "{stdout}"
    );

    let query = |more: &[&str]| {
        let mut arguments = vec![
            "query",
            "{} | count_over_time() by (resource.service.name)",
            "--data-dir",
            data_dir,
        ];
        arguments.extend(more);
        let (code, stdout, stderr) = said(&run(&arguments));
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
        stdout
    };
    let table = query(&["--instant"]);
    assert!(
        table.starts_with("resource.service.name") && table.lines().count() == 40,
        "{table}"
    );
    let json: Value = serde_json::from_str(&query(&["--instant", "--output", "json"])).unwrap();
    let total: f64 = json["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| series["value"][1].as_str().unwrap().parse::<f64>().unwrap())
        .sum();
    assert!((total - 2999.0).abs() < 0.5, "{total}");
    assert!(query(&["--output", "csv"]).starts_with("time,resource.service.name,value\n"));
    let plot = query(&["--output", "plot"]);
    assert!(
        plot.lines().all(|line| line.chars().count() <= 80) && plot.contains("max"),
        "{plot}"
    );

    let (code, stdout, stderr) = said(&run(&[
        "explain",
        "{ resource.service.name = \"frontend\" } | rate()",
        "--data-dir",
        data_dir,
        "--analyze",
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    for step in [
        "── parse",
        "── analyse",
        "── prune",
        "── split",
        "── lower",
        "── execute",
        "── merge",
    ] {
        assert!(stdout.contains(step), "no {step} in\n{stdout}");
    }

    let (code, stdout, stderr) = said(&run(&["block", "list", "--data-dir", data_dir]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("1 blocks, 2,999 spans"), "{stdout}");
    let id = stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let file = find(folder.path(), "spans.parquet").unwrap();
    for arguments in [
        vec!["block", "inspect", &id, "--data-dir", data_dir, "--verify"],
        vec!["block", "inspect", file.to_str().unwrap(), "--verify"],
        vec!["block", "inspect", file.parent().unwrap().to_str().unwrap()],
    ] {
        let (code, stdout, stderr) = said(&run(&arguments));
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            stdout.contains("2,999 spans") && stdout.contains("resource.service.name"),
            "{stdout}"
        );
    }
}

#[test]
fn spans_can_be_moved_to_now() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let before = SystemClock.now_ns();
    let (code, _, stderr) = said(&run(&[
        "load",
        "--shift-to-now",
        "--data-dir",
        data_dir,
        &sample("oteldemo.sample.otlp.zst"),
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    let (_, stdout, _) = said(&run(&[
        "query",
        "{} | max_over_time(duration)",
        "--instant",
        "--since",
        "6m",
        "--to",
        "now",
        "--data-dir",
        data_dir,
    ]));
    assert!(stdout.contains("max_over_time"), "{stdout}");
    let (_, stdout, _) = said(&run(&[
        "query",
        "{} | count_over_time()",
        "--instant",
        "--from",
        "-10m",
        "--to",
        "now+1m",
        "--output",
        "json",
        "--data-dir",
        data_dir,
    ]));
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["result"][0]["value"][1], "1500", "{stdout}");
    assert!(SystemClock.now_ns() > before);
}

#[test]
fn a_damaged_file_says_where_and_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let whole =
        zstd::decode_all(std::fs::File::open(sample("oteldemo.sample.otlp.zst")).unwrap()).unwrap();
    let broken = folder.path().join("broken.otlp");
    std::fs::write(&broken, &whole[..whole.len() - 7]).unwrap();
    let (code, stdout, stderr) = said(&run(&[
        "load",
        "--data-dir",
        data_dir.to_str().unwrap(),
        broken.to_str().unwrap(),
    ]));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("broken.otlp is damaged: cannot read message 212 at byte"),
        "{stderr}"
    );
    assert!(stdout.starts_with("loaded 1,"), "{stdout}");
    let (code, _, stderr) = said(&run(&[
        "load",
        "--data-dir",
        data_dir.to_str().unwrap(),
        "/no/such/file",
    ]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot open /no/such/file"), "{stderr}");
}

#[test]
fn configurations_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tempo.yaml");
    std::fs::write(&file, "server:\n  http_listen_port: ${SPANDREL_TEST_PORT:3299}\nmemberlist:\n  join_members: [a]\nstorage:\n  trace:\n    s3:\n      secret_key: hunter2\n").unwrap();
    let (code, stdout, stderr) = said(&run(&["config", "check", file.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("http_listen_port: 3299") && stdout.contains("secret_key: ***"),
        "{stdout}"
    );
    assert!(
        !stdout.contains("hunter2")
            && stderr.contains("tempo.yaml:4: `memberlist.join_members` is ignored"),
        "{stderr}"
    );

    std::fs::write(
        &file,
        "metrics_generator_client:\n  x: 1\nservre:\n  x: 1\n",
    )
    .unwrap();
    let (code, _, stderr) = said(&run(&["config", "check", file.to_str().unwrap()]));
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains("2 mistakes") && stderr.contains("gone since Tempo 3"),
        "{stderr}"
    );
}

#[test]
fn the_documented_settings_are_the_settings() {
    let (_, stdout, _) = said(&run(&["config", "defaults", "--markdown"]));
    let document = testkit::testdata::workspace_root().join("docs/configuration.md");
    let text = std::fs::read_to_string(&document).unwrap();
    assert!(
        text.contains(&stdout),
        "replace the table in docs/configuration.md by `spandrel config defaults --markdown`"
    );
}

#[test]
fn the_demo_runs_twice_with_the_same_data() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("demo");
    let arguments = ["demo", "--once", "--data-dir", data_dir.to_str().unwrap()];
    for _ in 0..2 {
        let (code, stdout, stderr) = said(&run_on_free_ports(&arguments));
        assert_eq!(code, Some(0), "{stderr}");
        assert!(
            stdout.starts_with("Loaded 68,043 recorded spans") && stdout.contains("frontend"),
            "{stdout}"
        );
    }
    let (_, stdout, _) = said(&run(&[
        "block",
        "list",
        "--data-dir",
        data_dir.to_str().unwrap(),
    ]));
    assert!(stdout.contains("68,043 spans"), "{stdout}");
}

#[tokio::test]
async fn a_trace_is_shown_from_storage_and_from_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let file = sample("oteldemo.sample.otlp.zst");
    let (code, _, stderr) = said(&run(&["load", "--data-dir", data_dir, &file]));
    assert_eq!(code, Some(0), "{stderr}");
    let id = "eb0c150ab1eda5b3c4ed14104ec779c";
    let (code, tree, stderr) = said(&run(&["trace", id, "--data-dir", data_dir]));
    assert_eq!(code, Some(0), "{stderr}");
    let head = "trace 0eb0c150ab1eda5b3c4ed14104ec779c  2024-12-13T12:39:38.817Z  21ms  31 spans  7 services  0 errors";
    assert_eq!(tree.lines().next().unwrap(), head);
    assert!(
        tree.lines()
            .nth(1)
            .unwrap()
            .starts_with("frontend-web HTTP GET "),
        "{tree}"
    );
    assert!(
        tree.lines()
            .nth(2)
            .unwrap()
            .starts_with("└─ frontend-proxy ingress "),
        "{tree}"
    );
    assert_eq!(tree.lines().count(), 32);

    let json = ["trace", id, "--data-dir", data_dir, "--output", "json"];
    let (code, line, _) = said(&run(&json));
    assert_eq!(code, Some(0));
    let copy = folder.path().join("trace.jsonl");
    std::fs::write(&copy, line).unwrap();
    let other = folder.path().join("other");
    let loaded = run(&[
        "load",
        "--data-dir",
        other.to_str().unwrap(),
        copy.to_str().unwrap(),
    ]);
    let (_, stdout, stderr) = said(&loaded);
    assert!(stdout.starts_with("loaded 31 spans"), "{stdout}{stderr}");

    let server = Server::start(folder.path(), &[]).await;
    let address = server.http.to_string();
    let by_server = tokio::task::spawn_blocking(move || {
        let trace = |id: &str| said(&run(&["trace", id, "--server", &address]));
        [trace(id), trace("abc")]
    });
    let [found, missing] = by_server.await.unwrap();
    assert_eq!((found.0, found.1), (Some(0), tree));
    assert_eq!(missing.0, Some(1));
    assert!(
        missing
            .2
            .contains("there is no trace 00000000000000000000000000000abc"),
        "{}",
        missing.2
    );
    let (code, _, stderr) = said(&run(&["trace", "xyz"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("hex characters"), "{stderr}");
}
