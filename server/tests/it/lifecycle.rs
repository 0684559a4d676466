//! Starting and ending.

use std::time::Duration;

use crate::harness::{Server, Window, run, run_on_free_ports, said};
use crate::send;
use crate::send::numbered;

#[tokio::test]
async fn a_termination_stores_everything_and_exits_0() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[
            "live_store.max_trace_idle=1h",
            "live_store.max_block_duration=1h",
        ],
    )
    .await;
    send::http_protobuf(&server, vec![numbered(0..10)]).await;
    assert_eq!(server.terminate().await.code(), Some(0));
    let data_dir = folder.path().to_str().unwrap();
    let (code, stdout, stderr) = said(&run(&[
        "query",
        "{} | count_over_time()",
        "--instant",
        "--data-dir",
        data_dir,
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "__name__         VALUE\ncount_over_time     10\n");
    assert_eq!(stderr, "");
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _running = Server::start(folder.path(), &[]).await;
    let data_dir = folder.path().to_str().unwrap();
    let output = run_on_free_ports(&["serve", "--data-dir", data_dir]);
    let (code, _, stderr) = said(&output);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("in use by another process"), "{stderr}");
}

#[tokio::test]
async fn a_port_in_use_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!(
        "server.http_listen_port={}",
        taken.local_addr().unwrap().port()
    );
    let data_dir = folder.path().to_str().unwrap();
    let output = run(&[
        "serve",
        "--data-dir",
        data_dir,
        "--set",
        "server.http_listen_address=127.0.0.1",
        "--set",
        &port,
    ]);
    let (code, _, stderr) = said(&output);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot listen on 127.0.0.1")
            && stderr.contains("--set server.http_listen_port=3201"),
        "{stderr}"
    );
}

#[test]
fn a_data_folder_that_cannot_be_made_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("data");
    let output = run_on_free_ports(&["serve", "--data-dir", below.to_str().unwrap()]);
    let (code, _, stderr) = said(&output);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("cannot use the data folder") && stderr.contains("data"),
        "{stderr}"
    );
}

#[tokio::test]
async fn readiness_ends_before_the_ports_close() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["shutdown_delay=2s"]).await;
    server.signal(rustix::process::Signal::TERM);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (status, body) = server.get("/ready").await;
    assert_eq!((status, body.trim()), (503, "shutting down"));
    // Queries are still answered.
    assert_eq!(server.count("{}", Window::ALL).await, 0);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["shutdown_delay=60s"]).await;
    send::http_protobuf(&server, vec![numbered(0..10)]).await;
    server.signal(rustix::process::Signal::TERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.terminate().await.code(), Some(130));
    let server = Server::start(folder.path(), &[]).await;
    assert_eq!(server.count("{}", Window::ALL).await, 10);
}
