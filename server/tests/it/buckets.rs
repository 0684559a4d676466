//! Buckets that other people's servers keep: every call over the wire, signed, with their answers to
//! a create that comes too late. `moto` plays Amazon's part, `azurite` Microsoft's.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use object_store::{ObjectStoreExt as _, PutMode, PutPayload};
use server::config::{Collector, Config};
use server::local::{self, Access};
use testkit::testdata::samples;

use crate::harness::{Server, Window, run, said, spandrel};
use crate::peers::{node, python};
use crate::send::{self, numbered};

/// A server of buckets, with an empty one, that ends with this.
struct Peer {
    child: Child,
    settings: Vec<String>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Peer {
    /// Starts a server that says its port in the first line that says something; from there on its
    /// output goes nowhere.
    fn start(mut command: Command) -> (Child, u16) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = lines.next().expect("the peer names its port").unwrap();
            let last = line.rsplit([':', ' ']).next().unwrap_or_default();
            match last.trim().parse() {
                // Which one it asked the system for.
                Ok(0) | Err(_) => {}
                Ok(port) => break port,
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        (child, port)
    }

    fn settings(&self) -> Vec<&str> {
        self.settings.iter().map(String::as_str).collect()
    }

    fn store(&self) -> storage::store::StoreLocation {
        let mut collector = Collector::default();
        let settings = self.settings.iter();
        settings.for_each(|setting| collector.assignment(setting));
        let (settings, _) = collector.finish().unwrap();
        let config = Config::try_from(&settings).unwrap();
        local::open(&config, Access::Write).unwrap()
    }
}

/// The program looks whether an object is there and then writes it; one request at a time makes that
/// one step, as it is in a real bucket.
const MOTO: &str = r#"
import threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server
app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return list(app(environ, start_response))
s3_backends["123456789012"]["aws"].create_bucket("traces", "us-east-1")
server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"#;

fn s3() -> Option<Peer> {
    let mut command = python("moto.moto_server.werkzeug_app")?;
    command.args(["-c", MOTO]).stderr(Stdio::null());
    let (child, port) = Peer::start(command);
    let endpoint = format!("storage.trace.s3.endpoint=127.0.0.1:{port}");
    let settings = [
        "storage.trace.backend=s3",
        "storage.trace.s3.bucket=traces",
        "storage.trace.s3.prefix=some/prefix",
        "storage.trace.s3.region=us-east-1",
        "storage.trace.s3.access_key=someone",
        "storage.trace.s3.secret_key=secret",
        "storage.trace.s3.insecure=true",
        "storage.trace.s3.forcepathstyle=true",
        &endpoint,
    ];
    Some(Peer {
        child,
        settings: settings.map(str::to_owned).into(),
    })
}

/// Makes a container, which the store's client cannot: signed as the protocol wants it.
const MAKE_CONTAINER: &str = r#"
const [http, crypto, port, key] = [require("http"), require("crypto"), process.argv[1], process.argv[2]];
const headers = {"x-ms-date": new Date().toUTCString(), "x-ms-version": "2021-12-02", "Content-Length": 0};
const signed = "PUT" + "\n".repeat(12) + `x-ms-date:${headers["x-ms-date"]}\nx-ms-version:2021-12-02\n`
  + "/devstoreaccount1/devstoreaccount1/traces\nrestype:container";
const signature = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(signed).digest("base64");
headers.Authorization = "SharedKey devstoreaccount1:" + signature;
const request = {port, host: "127.0.0.1", method: "PUT", path: "/devstoreaccount1/traces?restype=container", headers};
http.request(request, answer => process.exit(answer.statusCode == 201 ? 0 : 1)).end();
"#;

/// The key of azurite's one account, which everybody knows.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn azure() -> Option<Peer> {
    let mut command = node("azurite/dist/src/blob/main.js")?;
    command.args(["--blobPort", "0", "--inMemoryPersistence"]);
    command.args(["--skipApiVersionCheck", "--disableTelemetry"]);
    command.stderr(Stdio::null());
    let (child, port) = Peer::start(command);
    let made = Command::new("node")
        .args(["-e", MAKE_CONTAINER, &port.to_string(), AZURITE_KEY])
        .status();
    assert!(made.unwrap().success(), "no container");
    let endpoint =
        format!("storage.trace.azure.endpoint_suffix=http://127.0.0.1:{port}/devstoreaccount1");
    let key = format!("storage.trace.azure.storage_account_key={AZURITE_KEY}");
    let settings = [
        "storage.trace.backend=azure",
        "storage.trace.azure.container_name=traces",
        "storage.trace.azure.storage_account_name=devstoreaccount1",
        &endpoint,
        &key,
    ];
    Some(Peer {
        child,
        settings: settings.map(str::to_owned).into(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_in_s3() {
    if let Some(peer) = s3() {
        of_many_who_create_one_wins(&peer).await;
        writers_share_a_bucket_and_a_server_answers_from_it(&peer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_in_azure() {
    if let Some(peer) = azure() {
        of_many_who_create_one_wins(&peer).await;
        writers_share_a_bucket_and_a_server_answers_from_it(&peer).await;
    }
}

/// What the catalog is built on.
async fn of_many_who_create_one_wins(peer: &Peer) {
    let location = peer.store();
    for round in 0..4 {
        let path = location.prefix.clone().join(format!("race-{round}"));
        let writers = (0..8).map(|writer: u8| {
            let (store, path) = (Arc::clone(&location.store), path.clone());
            tokio::spawn(async move {
                let payload = PutPayload::from(vec![writer]);
                let put = store.put_opts(&path, payload, PutMode::Create.into()).await;
                match put {
                    Ok(_) => Some(writer),
                    Err(object_store::Error::AlreadyExists { .. }) => None,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let outcomes = futures::future::join_all(writers).await;
        let winners: Vec<u8> = outcomes.into_iter().filter_map(Result::unwrap).collect();
        let stored = location.store.get(&path).await.unwrap();
        assert_eq!(stored.bytes().await.unwrap(), winners, "round {round}");
        location.store.delete(&path).await.unwrap();
    }
}

async fn writers_share_a_bucket_and_a_server_answers_from_it(peer: &Peer) {
    let folder = tempfile::tempdir().unwrap();
    let with_settings = |mut command: Command, data_dir: &Path| {
        command.arg("--data-dir").arg(data_dir);
        for setting in &peer.settings {
            command.arg("--set").arg(setting);
        }
        command
    };
    // At once, so that they want the same version of the catalog.
    let sets = samples().unwrap();
    let loads: Vec<Child> = sets
        .iter()
        .map(|set| {
            let mut command = spandrel();
            command.args(["load", "--quiet"]).arg(&set.requests);
            let mut command = with_settings(command, &folder.path().join(&set.name));
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut load in loads {
        assert!(load.wait().unwrap().success());
    }
    let facts = sets.iter().map(|set| set.facts().unwrap());
    let loaded: u64 = facts.map(|facts| facts.totals.spans).sum();

    let server = Server::start(&folder.path().join("one"), &peer.settings()).await;
    assert_eq!(server.count("{}", Window::ALL).await, loaded);
    send::http_protobuf(&server, vec![numbered(0..100)]).await;
    assert_eq!(server.count("{}", Window::ALL).await, loaded + 100);
    assert!(server.terminate().await.success());

    // Nothing of it is on this machine.
    let server = Server::start(&folder.path().join("other"), &peer.settings()).await;
    assert_eq!(server.count("{}", Window::ALL).await, loaded + 100);
    let numbered = "{ resource.service.name = \"numbered\" }";
    assert_eq!(server.count(numbered, Window::ALL).await, 100);

    let mut list = spandrel();
    list.args(["block", "list"]);
    let list = with_settings(list, folder.path()).output().unwrap();
    let (code, stdout, stderr) = said(&list);
    assert_eq!(code, Some(0), "{stderr}");
    let blocks: Vec<&str> = stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.len() == 26)
        .collect();
    assert_eq!(blocks.len(), sets.len() + 1, "{stdout}");
    for block in blocks {
        let mut inspect = spandrel();
        inspect.args(["block", "inspect", "--verify", block]);
        let (code, _, stderr) = said(&with_settings(inspect, folder.path()).output().unwrap());
        assert_eq!(code, Some(0), "{stderr}");
    }
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(&[
        "query",
        "{} | rate()",
        "--data-dir",
        folder.path().to_str().unwrap(),
        "--set",
        "storage.trace.backend=s3",
        "--set",
        "storage.trace.s3.bucket=traces",
        "--set",
        "storage.trace.s3.endpoint=http://127.0.0.1:1",
        "--set",
        "storage.trace.s3.access_key=someone",
        "--set",
        "storage.trace.s3.secret_key=very-secret",
        "--set",
        "storage.trace.s3.insecure=true",
    ]);
    let (code, _, stderr) = said(&output);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(!stderr.contains("very-secret"), "{stderr}");
}
