//! A disk that is really full: a small file system of our own, in a namespace of our own.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prost::Message as _;
use tonic::Code;

use crate::harness::{Server, Window, spandrel_by};
use crate::send::{self, numbered, post};

/// A file system of 16 MiB that ends with this.
struct SmallDisk {
    keeper: Child,
    mount: PathBuf,
}

impl SmallDisk {
    /// `None` if the system does not let us have one.
    fn new(folder: &Path) -> Option<Self> {
        let mount = folder.join("disk");
        std::fs::create_dir(&mount).unwrap();
        let script = "mount -t tmpfs -o size=16m tmpfs \"$1\" && echo mounted && exec sleep 3600";
        let keeper = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(&mount)
            .stdout(Stdio::piped())
            .spawn();
        let mut line = String::new();
        if let Ok(mut keeper) = keeper {
            let output = keeper.stdout.take().unwrap();
            BufReader::new(output).read_line(&mut line).unwrap();
            let disk = Self { keeper, mount };
            if line == "mounted\n" {
                return Some(disk);
            }
        }
        eprintln!(
            "SKIPPED: no file system of our own can be mounted here (unshare --map-root-user --mount)"
        );
        None
    }

    /// A server whose data is on this disk.
    async fn serve(&self, folder: &Path) -> Server {
        let keeper = self.keeper.id().to_string();
        let enter = ["--user", "--mount", "--preserve-credentials", "--target"];
        let arguments: Vec<&str> = enter.into_iter().chain([keeper.as_str()]).collect();
        let sets = [
            "wal.low_water_bytes=0",
            "live_store.max_block_duration=1h",
            "live_store.max_trace_idle=1h",
        ];
        let command = spandrel_by("nsenter", &arguments);
        Server::spawn_by(command, &self.mount, folder, &sets).await
    }

    /// The file that takes up all space, seen from outside of the namespace.
    fn ballast(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        let inside = self.mount.strip_prefix("/").unwrap();
        root.join(inside).join("ballast")
    }

    fn fill(&self) {
        let mut file = File::create(self.ballast()).unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// More than the log's last page can still take.
fn large(part: u64) -> u64 {
    1_000_000 * part
}

async fn is_refused(server: &Server, part: u64) {
    let request = numbered(large(part)..large(part) + 2000);
    let (status, body) = post(
        server,
        "application/x-protobuf",
        None,
        request.encode_to_vec(),
    )
    .await;
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains("no space is left on the disk of the write-ahead log"),
        "{body}"
    );
    let mut grpc = send::grpc_client(server.otlp_grpc).await;
    let refused = grpc.export(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().starts_with("err-wal-disk-full"));
}

#[tokio::test]
async fn a_full_disk_costs_no_acknowledged_span_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path()) else {
        return;
    };
    let server = disk.serve(folder.path()).await;
    server.wait_until_ready().await;
    send::http_protobuf(&server, vec![numbered(0..100)]).await;

    disk.fill();
    for part in 1..4 {
        is_refused(&server, part).await;
    }
    let (status, reason) = server.get("/ready").await;
    assert_eq!(status, 503);
    assert!(reason.contains("no space is left"), "{reason}");
    assert_eq!(server.count("{}", Window::ALL).await, 100);

    // It finds room by itself, and the request that was refused goes in, once.
    disk.make_room();
    server.wait_until_ready().await;
    send::http_protobuf(&server, vec![numbered(large(1)..large(1) + 2000)]).await;
    assert_eq!(server.count("{}", Window::ALL).await, 2100);

    // Full again, killed, and started on the full disk: what was acknowledged is there, and only it
    // and what was refused can be.
    disk.fill();
    is_refused(&server, 2).await;
    server.kill();
    let server = disk.serve(folder.path()).await;
    while server.get("/ready").await.1.contains("starting") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let acknowledged = Window {
        start_ms: 0,
        end_ms: i64::try_from(1000 * (large(1) + 1000 + 2000)).unwrap(),
    };
    assert_eq!(server.count("{}", acknowledged).await, 2100);
    is_refused(&server, 3).await;

    // Blocks cannot be stored either, so a termination leaves the spans in the log.
    assert!(server.terminate().await.success());
    disk.make_room();
    let server = disk.serve(folder.path()).await;
    server.wait_until_ready().await;
    assert_eq!(server.count("{}", acknowledged).await, 2100);
    send::http_protobuf(&server, vec![numbered(100..110)]).await;
    assert_eq!(server.count("{}", acknowledged).await, 2110);
    assert!(server.terminate().await.success());
}
