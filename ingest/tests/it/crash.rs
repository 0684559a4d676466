//! A crash at every call to the disk and the store, with every kind of disk that may be left.

use std::collections::BTreeSet;
use std::time::Duration;

use storage::ids::TenantId;

use super::cluster::{Store, open, quiet, run, try_open};
use super::requests::{counts, once, request};
use super::sim_disk::{Fault, SURVIVES, SimDisk};

const REQUESTS: u64 = 6;

/// The numbers of a request; requests overlap with no other.
fn numbers(index: u64) -> std::ops::Range<u64> {
    index * 2..index * 2 + 2
}

/// Pushes, cuts and stores until done or crashed. Returns the requests that were acknowledged.
async fn work(disk: &SimDisk, store: &Store) -> BTreeSet<u64> {
    let mut acked = BTreeSet::new();
    let Ok(ingest) = try_open(quiet(), disk, store).await else {
        return acked;
    };
    for index in 0..REQUESTS {
        if ingest
            .push(&TenantId::single(), request(numbers(index)))
            .await
            .is_ok()
        {
            acked.insert(index);
        }
        if index % 3 == 2 {
            let crashed = async {
                while !disk.crashed() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::select! {
                () = ingest.flush() => {}
                () = crashed => {}
            }
        }
    }
    acked
}

#[test]
fn acknowledged_spans_are_there_exactly_once_after_any_crash() {
    let disk = SimDisk::default();
    let acked = run(work(&disk, &Store::new(&disk)));
    assert_eq!(acked.len() as u64, REQUESTS);
    let calls = disk.calls();
    assert!(calls > 20, "only {calls} places to crash");

    for call in 0..calls {
        for fault in [Fault::Crash, Fault::CrashAfter] {
            let disk = SimDisk::default();
            let store = Store::new(&disk);
            disk.fault(call, fault);
            let acked = run(work(&disk, &store));
            // The tick may change the number of calls, so late ones may not be reached.
            for survives in SURVIVES {
                let context =
                    format!("call {call}, {fault:?}, {survives:?}, acknowledged {acked:?}");
                let disk = disk.after_crash(survives);
                // Each kind of disk meets the same store, so each gets a copy of it.
                let store = store.fork(&disk);
                run(check(&disk, &store, &acked, &context));
            }
        }
    }
}

async fn check(disk: &SimDisk, store: &Store, acked: &BTreeSet<u64>, context: &str) {
    let tenant = TenantId::single();
    let ingest = open(disk, store).await;
    let found = counts(&ingest, store, &tenant).await;
    for index in 0..REQUESTS {
        for number in numbers(index) {
            let count = found.get(&number).copied().unwrap_or(0);
            let right = if acked.contains(&index) {
                count == 1
            } else {
                count <= 1
            };
            assert!(right, "span {number} is there {count} times; {context}");
        }
    }
    // Senders send again what was not acknowledged.
    for index in (0..REQUESTS).filter(|index| !acked.contains(index)) {
        ingest.push(&tenant, request(numbers(index))).await.unwrap();
    }
    let all = once(0..REQUESTS * 2);
    assert_eq!(
        counts(&ingest, store, &tenant).await,
        all,
        "after sending again; {context}"
    );
    ingest.flush().await;
    assert_eq!(
        counts(&ingest, store, &tenant).await,
        all,
        "after storing; {context}"
    );
    assert!(
        disk.files().iter().all(|path| !path.starts_with("wal")),
        "the log is not empty; {context}"
    );
    assert!(
        disk.files()
            .iter()
            .all(|path| !path.starts_with("quarantine")),
        "false alarm; {context}"
    );
}
