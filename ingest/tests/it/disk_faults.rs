//! Calls to the disk that fail, once or for a while, while the process lives on.

use std::io::ErrorKind;

use ingest::PushError;
use storage::ids::TenantId;

use super::cluster::{Store, open, quiet, run, try_open};
use super::requests::{counts, once, request};
use super::sim_disk::{Fault, SURVIVES, SimDisk, Survives};

const REQUESTS: u64 = 4;

/// Pushes each request until it is acknowledged; the disk heals after the first refusal.
async fn work(disk: &SimDisk, store: &Store) -> bool {
    let Ok(ingest) = try_open(quiet(), disk, store).await else {
        return false;
    };
    let tenant = TenantId::single();
    for number in 0..REQUESTS {
        let mut tries = 0;
        while ingest.push(&tenant, request([number])).await.is_err() {
            disk.heal();
            tries += 1;
            assert!(tries < 5, "a healed disk does not help");
        }
        // Visible at once, and never twice.
        assert_eq!(counts(&ingest, store, &tenant).await, once(0..=number));
    }
    true
}

#[test]
fn any_failing_call_is_survived_and_acknowledges_nothing_that_is_not_durable() {
    let disk = SimDisk::default();
    assert!(run(work(&disk, &Store::new(&disk))));
    for call in 0..disk.calls() {
        for fault in [
            Fault::Fail(ErrorKind::Other),
            Fault::Half(ErrorKind::StorageFull),
            Fault::FailFromHere(ErrorKind::Other),
            Fault::FailFromHere(ErrorKind::StorageFull),
        ] {
            let disk = SimDisk::default();
            let store = Store::new(&disk);
            disk.fault(call, fault);
            assert!(run(work(&disk, &store)), "call {call}, {fault:?}");
            for survives in SURVIVES {
                let context = format!("call {call}, {fault:?}, {survives:?}");
                let disk = disk.after_crash(survives);
                let store = store.fork(&disk);
                run(async {
                    let ingest = open(&disk, &store).await;
                    assert_eq!(
                        counts(&ingest, &store, &TenantId::single()).await,
                        once(0..REQUESTS),
                        "{context}"
                    );
                });
            }
        }
    }
}

#[test]
fn a_failed_sync_is_not_tried_again_on_the_same_file() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request([1])).await.unwrap();
        let before = disk.files();
        // The next call is the append, the one after it the sync.
        disk.fault(disk.calls() + 1, Fault::Fail(ErrorKind::Other));
        assert_eq!(
            ingest.push(&tenant, request([2])).await,
            Err(PushError::WalUnavailable)
        );
        assert_eq!(ingest.readiness(), Err(PushError::WalUnavailable));
        ingest.push(&tenant, request([3])).await.unwrap();
        assert_eq!(ingest.readiness(), Ok(()));
        // The old file is sealed under another name, and the request went to a new one.
        assert!(disk.files().iter().all(|path| !before.contains(path)));

        // The bytes of the refused request may have reached the disk all the same.
        let disk = disk.after_crash(Survives::All);
        let store = store.after_crash(&disk);
        let found = counts(&open(&disk, &store).await, &store, &tenant).await;
        assert_eq!((found.get(&1), found.get(&3)), (Some(&1), Some(&1)));
    });
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request([1])).await.unwrap();

        disk.set_free_space(1);
        let low = PushError::DiskLow { limit: 512 << 20 };
        assert_eq!(ingest.push(&tenant, request([2])).await, Err(low.clone()));
        assert_eq!(ingest.readiness(), Err(low));
        assert_eq!(counts(&ingest, &store, &tenant).await, once([1]));
        disk.heal();
        ingest.push(&tenant, request([2])).await.unwrap();
        assert_eq!(ingest.readiness(), Ok(()));

        disk.fault_next(Fault::FailFromHere(ErrorKind::StorageFull));
        assert_eq!(
            ingest.push(&tenant, request([3])).await,
            Err(PushError::DiskFull)
        );
        assert_eq!(ingest.readiness(), Err(PushError::DiskFull));
        assert_eq!(counts(&ingest, &store, &tenant).await, once([1, 2]));
        disk.heal();
        // Without any request, the log finds out that it can be written again.
        while ingest.readiness().is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        ingest.push(&tenant, request([3])).await.unwrap();
        assert_eq!(counts(&ingest, &store, &tenant).await, once([1, 2, 3]));
    });
}
