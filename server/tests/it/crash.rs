//! Kill -9 at random moments: what was acknowledged is there, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::harness::{Server, Window, run, said, spandrel};
use crate::send::{numbered, post};
use prost::Message as _;

const SPANS_PER_REQUEST: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_spans_are_counted_exactly_once() {
    #[expect(clippy::disallowed_methods, reason = "the seed is printed")]
    let seed: u64 = std::env::var("SPANDREL_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("SPANDREL_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    // Cuts blocks all the time, so that kills meet every step from the log to the catalog.
    let sets = [
        "live_store.max_block_duration=80ms",
        "live_store.max_trace_idle=40ms",
    ];
    let (mut acknowledged, mut unknown, mut next) = (0, 0, 0);
    for round in 0..6 {
        let server = Arc::new(Server::start(folder.path(), &sets).await);
        let acked = Arc::new(AtomicU64::new(0));
        let sent = Arc::new(AtomicU64::new(0));
        let sender = tokio::spawn({
            let (server, acked, sent) =
                (Arc::clone(&server), Arc::clone(&acked), Arc::clone(&sent));
            async move {
                for request in 0.. {
                    let start = next + request * SPANS_PER_REQUEST;
                    let body = numbered(start..start + SPANS_PER_REQUEST).encode_to_vec();
                    let url = format!("http://{}/v1/traces", server.otlp_http);
                    let send = server
                        .client
                        .post(url)
                        .header("content-type", "application/x-protobuf")
                        .body(body);
                    sent.fetch_add(SPANS_PER_REQUEST, Ordering::SeqCst);
                    match send.send().await {
                        Ok(response) if response.status() == 200 => {
                            acked.fetch_add(SPANS_PER_REQUEST, Ordering::SeqCst)
                        }
                        _ => return,
                    };
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(random.random_range(50..700))).await;
        server.signal(rustix::process::Signal::KILL);
        sender.await.unwrap();
        drop(server);
        let (acked, sent) = (acked.load(Ordering::SeqCst), sent.load(Ordering::SeqCst));
        acknowledged += acked;
        unknown += sent - acked;
        next += sent;

        let server = Server::start(folder.path(), &sets).await;
        let found = server.count("{}", Window::ALL).await;
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&found),
            "round {round}: {found} spans, acknowledged {acknowledged}, in doubt {unknown}"
        );
        // Each span has a second of its own: a repeated one would make a step of two.
        let end = (1000 + next).to_string();
        let form = [
            ("query", "{} | count_over_time()"),
            ("start", "1000"),
            ("end", &end),
            ("step", "1"),
        ];
        if next < 11_000 {
            let data = server.prom("query_range", &form).await;
            for (index, sample) in data["result"][0]["values"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
            {
                assert!(
                    sample[1] == "0" || sample[1] == "1",
                    "round {round}: span {index}: {sample}"
                );
            }
        }
        // What was in doubt is settled now.
        (acknowledged, unknown) = (found, 0);
        server.kill();
    }
    assert!(acknowledged > 0);
}

#[tokio::test]
async fn a_killed_load_leaves_whole_blocks() {
    let set = testkit::testdata::data_sets(&testkit::testdata::traces_dir())
        .unwrap()
        .remove(1);
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    for delay_ms in [30, 300, 900] {
        let mut child = spandrel()
            .args([
                "load",
                "--quiet",
                "--data-dir",
                data_dir,
                set.requests.to_str().unwrap(),
            ])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        child.kill().ok();
        child.wait().unwrap();
    }
    let (code, _, stderr) = said(&run(&[
        "load",
        "--data-dir",
        data_dir,
        set.requests.to_str().unwrap(),
    ]));
    assert_eq!(code, Some(0), "{stderr}");
    let server = Server::start(folder.path(), &[]).await;
    let (total, found) = (
        set.facts().unwrap().totals.spans,
        server.count("{}", Window::ALL).await,
    );
    // Each load is one block, in the catalog or not.
    assert!(
        found > 0 && found.is_multiple_of(total),
        "{found} spans, {total} a load"
    );
}

/// A request that was accepted while the server was ending is not lost either.
#[tokio::test]
async fn nothing_is_lost_by_a_shutdown_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let mut acknowledged = 0;
    for request in 0..100_u64 {
        let body = numbered(request * 10..request * 10 + 10).encode_to_vec();
        if post(&server, "application/x-protobuf", None, body).await.0 == 200 {
            acknowledged += 10;
        }
        if request == 60 {
            break;
        }
    }
    assert!(server.terminate().await.success());
    let server = Server::start(folder.path(), &[]).await;
    assert_eq!(server.count("{}", Window::ALL).await, acknowledged);
}
