//! Programs of others write and read what we read and write. They are looked for in the virtual
//! environment of Python that `SPANDREL_PEERS_VENV` names, and in the `node_modules` of the folder
//! that `SPANDREL_PEERS_NODE` names; what is missing is skipped aloud.

use std::path::PathBuf;
use std::process::Command;

use testkit::testdata::traces_dir;

use crate::bad_input::find;
use crate::harness::{Server, Window, run, said};

/// Python, if it has these modules.
pub(crate) fn python(module: &str) -> Option<Command> {
    let venv = std::env::var_os("SPANDREL_PEERS_VENV").map(PathBuf::from);
    let python = venv
        .map(|venv| venv.join("bin/python"))
        .filter(|python| python.is_file());
    let works = python.filter(|python| {
        Command::new(python)
            .args(["-c", &format!("import {module}")])
            .output()
            .unwrap()
            .status
            .success()
    });
    if works.is_none() {
        eprintln!(
            "SKIPPED: no Python with {module}; set SPANDREL_PEERS_VENV to a virtual environment that has it"
        );
    }
    works.map(Command::new)
}

/// Node with a script of an installed package.
pub(crate) fn node(script: &str) -> Option<Command> {
    let folder = std::env::var_os("SPANDREL_PEERS_NODE").map(PathBuf::from);
    let path = folder.map(|folder| folder.join("node_modules").join(script));
    let Some(path) = path.filter(|path| path.is_file()) else {
        eprintln!(
            "SKIPPED: no {script}; set SPANDREL_PEERS_NODE to a folder whose node_modules has it"
        );
        return None;
    };
    let mut command = Command::new("node");
    command.arg(path);
    Some(command)
}

const EXPORT: &str = r#"
import sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
kind, endpoint = sys.argv[1:]
if kind == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
provider = TracerProvider(resource=Resource.create({"service.name": "python-" + kind}))
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("peer", "1.2")
for i in range(100):
    with tracer.start_as_current_span("parent", kind=SpanKind.SERVER, attributes={"i": i, "even": i % 2 == 0, "tags": ["a", "b"]}) as parent:
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT) as child:
            child.add_event("tried", {"attempt": 1})
        if i < 7:
            parent.set_status(Status(StatusCode.ERROR, "broken"))
provider.shutdown()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_opentelemetry_sdk_of_python_writes() {
    let Some(_) =
        python("opentelemetry.exporter.otlp.proto.grpc, opentelemetry.exporter.otlp.proto.http")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    for (kind, endpoint) in [("grpc", server.otlp_grpc), ("http", server.otlp_http)] {
        let mut command = python("opentelemetry").unwrap();
        let output = command
            .args(["-c", EXPORT, kind, &format!("http://{endpoint}")])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let service = format!("resource.service.name = \"python-{kind}\"");
        for (filter, expected) in [
            (format!("{{ {service} }}"), 200),
            (format!("{{ {service} && kind = server }}"), 100),
            (
                format!("{{ {service} && status = error && statusMessage = \"broken\" }}"),
                7,
            ),
            (format!("{{ {service} && span.i < 10 }}"), 10),
            (format!("{{ {service} && span.even = true }}"), 50),
            (format!("{{ {service} && event:name = \"tried\" }}"), 100),
            (
                format!("{{ {service} && instrumentation:name = \"peer\" }}"),
                200,
            ),
        ] {
            assert_eq!(
                server.count(&filter, Window::ALL).await,
                expected,
                "{filter}"
            );
        }
    }
}

const COUNT: &str = r#"
import sys, duckdb
path = sys.argv[1]
columns = 'count(*), count(distinct "trace:id"), count(distinct "resource.service.name")'
print(duckdb.connect().execute(f"select {columns} from read_parquet('{path}')").fetchone())
"#;

#[test]
fn duckdb_reads_a_block() {
    let Some(mut command) = python("duckdb") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = traces_dir().join("oteldemo.otlp.zst");
    let (code, _, stderr) = said(&run(&[
        "load",
        "--data-dir",
        folder.path().to_str().unwrap(),
        file.to_str().unwrap(),
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    let block = find(folder.path(), "spans.parquet").unwrap();
    let output = command
        .args(["-c", COUNT, block.to_str().unwrap()])
        .output()
        .unwrap();
    let (code, stdout, stderr) = said(&output);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout.trim(), "(64151, 13211, 11)");
}
