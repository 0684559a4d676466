//! The reference evaluator gives what the corpus files say.

use testkit::corpus::{CorpusFile, complete, load_dir, run_metrics, run_searches};
use testkit::reference::{metrics, search};
use testkit::testdata::workspace_root;

fn files() -> Vec<CorpusFile> {
    load_dir(&workspace_root().join("testdata/traceql/eval")).expect("corpus files parse")
}

#[test]
fn reference_passes_the_corpora() {
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        for file in files() {
            let text = complete(&file).expect("every query can be completed");
            std::fs::write(&file.path, text).expect("corpus files can be written");
        }
    }
    let mut failures = Vec::new();
    for file in files() {
        let run = run_metrics(&file, |groups, query, grid| {
            metrics(query, groups, grid).map_err(|error| error.to_string())
        });
        failures.extend(run.err());
        let run = run_searches(&file, |groups, query, window| {
            search(query, groups, window).map_err(|error| error.to_string())
        });
        failures.extend(run.err());
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn expectations_can_be_completed() {
    const TEXT: &str = "\
trace 1
  a/x @5s +1s i=1
instant 0s 10s
query { span.i = 1 }
query { span.i = 2 }
spans 7
query { } | sum_over_time(duration) by (name, span.i)
series
query { !span.i }
query { span.i = 1 } | by(name) | avg(duration) > 1ms
spansets
query { span.i = 1 } | count() > 0
search
";
    let parse =
        |text: &str| CorpusFile::parse("inline.test".as_ref(), text).expect("the text parses");
    let completed = complete(&parse(TEXT)).expect("every query can be completed");
    let expected = "\
trace 1
  a/x @5s +1s i=1
instant 0s 10s
query { span.i = 1 }
spans 1
query { span.i = 2 }
spans none
query { } | sum_over_time(duration) by (name, span.i)
series
  {name=\"x\", span.i=1} 1
query { !span.i }
fails
query { span.i = 1 } | by(name) | avg(duration) > 1ms
spansets
  {by(name)=\"x\", avg(duration)=\"1s\"} 1
query { span.i = 1 } | count() > 0
search
  trace 1 a/x @5 +1 a:1
    spanset {count()=1}
      1 @5 +1 {i=1}
";
    assert_eq!(completed, expected);
    assert_eq!(complete(&parse(&completed)), Ok(completed));
}
