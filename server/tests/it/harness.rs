//! A server of one's own for every test, and ways to ask it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use storage::{Clock as _, SystemClock};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) fn spandrel() -> Command {
    in_clean_environment(Command::new(SPANDREL))
}

/// The binary under test, started by another program.
pub(crate) fn spandrel_by(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(SPANDREL);
    in_clean_environment(command)
}

const SPANDREL: &str = env!("CARGO_BIN_EXE_spandrel");

fn in_clean_environment(mut command: Command) -> Command {
    command
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "80");
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    spandrel()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Settings that make a server take whatever ports are free.
pub(crate) const FREE_PORTS: [&str; 3] = [
    "server.http_listen_port=0",
    "distributor.receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "distributor.receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
];

/// Runs a command that would serve, on free ports, to its end.
pub(crate) fn run_on_free_ports(arguments: &[&str]) -> Output {
    let settings = FREE_PORTS.iter().flat_map(|setting| ["--set", setting]);
    run(&arguments
        .iter()
        .copied()
        .chain(settings)
        .collect::<Vec<_>>())
}

/// What a finished command said, as text.
pub(crate) fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// A running server on ports of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    log: PathBuf,
    pub(crate) client: reqwest::Client,
}

impl Server {
    /// Starts a server on a data folder, and waits until it is ready.
    pub(crate) async fn start(data_dir: &Path, sets: &[&str]) -> Self {
        let server = Self::spawn(data_dir, sets).await;
        server.wait_until_ready().await;
        server
    }

    /// Starts a server and waits for its ports only.
    pub(crate) async fn spawn(data_dir: &Path, sets: &[&str]) -> Self {
        std::fs::create_dir_all(data_dir).unwrap();
        Self::spawn_by(spandrel(), data_dir, data_dir, sets).await
    }

    /// Starts a server by a command that ends in that of the binary, and waits for its ports. `folder`
    /// is for what a test needs to know of it.
    pub(crate) async fn spawn_by(
        mut command: Command,
        data_dir: &Path,
        folder: &Path,
        sets: &[&str],
    ) -> Self {
        let (ports, log) = (folder.join("ports.json"), folder.join("log.txt"));
        std::fs::remove_file(&ports).ok();
        let log_file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command.arg("serve").arg("--data-dir").arg(data_dir);
        let ports_file = format!("server.ports_file={}", ports.display());
        let own = [
            "server.http_listen_address=127.0.0.1",
            ports_file.as_str(),
            // Tests send little: a disk that others have almost filled must not fail them.
            "wal.low_water_bytes=16MiB",
        ];
        for set in FREE_PORTS.iter().chain(&own).chain(sets) {
            command.arg("--set").arg(set);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let patience = SystemClock.instant() + PATIENCE;
        let addresses: Value = loop {
            if let Ok(text) = std::fs::read(&ports) {
                break serde_json::from_slice(&text).unwrap();
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "the server ended with {status}:\n{}",
                    std::fs::read_to_string(&log).unwrap()
                );
            }
            assert!(SystemClock.instant() < patience, "no ports");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let address = |name: &str| addresses[name].as_str().unwrap().parse().unwrap();
        Self {
            child,
            http: address("http"),
            otlp_grpc: address("otlp_grpc"),
            otlp_http: address("otlp_http"),
            log,
            client: reqwest::Client::new(),
        }
    }

    pub(crate) async fn wait_until_ready(&self) {
        let patience = SystemClock.instant() + PATIENCE;
        while self.get("/ready").await.0 != 200 {
            assert!(
                SystemClock.instant() < patience,
                "not ready:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// What the server has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Status and body of a form.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let response = self
            .client
            .post(self.url(path))
            .form(form)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// `data` of a successful Prometheus answer.
    pub(crate) async fn prom(&self, endpoint: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(&format!("/prom/api/v1/{endpoint}"), form).await;
        assert_eq!(status, 200, "{form:?}: {body}");
        let mut envelope: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(envelope["status"], "success", "{body}");
        envelope["data"].take()
    }

    /// The samples of an instant query over `(start, end]`: labels and value.
    pub(crate) async fn instant(&self, query: &str, window: Window) -> Vec<(Value, f64)> {
        let (time, lookback) = (
            millis(window.end_ms),
            millis(window.end_ms - window.start_ms),
        );
        let form = [
            ("query", query),
            ("time", &time),
            ("lookback_delta", &lookback),
        ];
        let data = self.prom("query", &form).await;
        let sample = |series: &Value| {
            (
                series["metric"].clone(),
                series["value"][1].as_str().unwrap().parse().unwrap(),
            )
        };
        data["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(sample)
            .collect()
    }

    /// How many spans a filter selects.
    pub(crate) async fn count(&self, filter: &str, window: Window) -> u64 {
        let samples = self
            .instant(&format!("{filter} | count_over_time()"), window)
            .await;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are whole and small"
        )]
        samples.iter().map(|(_, value)| *value as u64).sum()
    }

    /// Ends the server as an operator would.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let patience = SystemClock.instant() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                SystemClock.instant() < patience,
                "does not end:\n{}",
                self.log()
            );
            // Clients of this test still have to notice that their connections end.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the server as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A range of time in ms since the epoch, open on the left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

impl Window {
    /// Everything that can have happened.
    pub(crate) const ALL: Self = Self {
        start_ms: -1000,
        end_ms: 4_000_000_000_000,
    };
}

/// Milliseconds as decimal seconds.
pub(crate) fn millis(ms: i64) -> String {
    let mut text = String::new();
    write!(text, "{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000)).unwrap();
    text
}
