//! What queries see while spans arrive, blocks are cut and requests come twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage::SnapshotSource as _;
use storage::ids::TenantId;
use storage::snapshot::Times;

use super::cluster::{Store, open, quiet, run, try_open};
use super::requests::{counts, numbers, once, request};
use super::sim_disk::{SimDisk, Survives};

#[test]
fn every_snapshot_holds_what_was_acknowledged_once() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let mut config = quiet();
        // Cuts every few requests.
        config.live_store.max_block_bytes = 2000;
        let ingest = try_open(config, &disk, &store).await.unwrap();
        let acked = Arc::new(AtomicU64::new(0));
        let writer = {
            let (ingest, tenant, acked) = (Arc::clone(&ingest), tenant.clone(), Arc::clone(&acked));
            tokio::spawn(async move {
                for number in 0..150 {
                    ingest.push(&tenant, request([number])).await.unwrap();
                    acked.store(number + 1, Ordering::SeqCst);
                }
            })
        };
        while !writer.is_finished() {
            let before = acked.load(Ordering::SeqCst);
            let snapshot = ingest.snapshot(&tenant, &Times::ALL).await.unwrap();
            let after = acked.load(Ordering::SeqCst);
            let found = numbers(snapshot, &store).await;
            assert!(
                found.values().all(|count| *count == 1),
                "a span is there twice: {found:?}"
            );
            assert!(
                (0..before).all(|number| found.contains_key(&number)),
                "an acknowledged span is missing"
            );
            // One more may be visible shortly before its sender knows.
            assert!(found.keys().all(|number| *number <= after));
        }
        writer.await.unwrap();
        ingest.flush().await;
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..150));
    });
}

#[test]
fn snapshots_between_two_pushes_share_one_encoding() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request(0..2)).await.unwrap();
        let (first, second) = tokio::join!(
            ingest.snapshot(&tenant, &Times::ALL),
            ingest.snapshot(&tenant, &Times::ALL)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        assert!(Arc::ptr_eq(&first.live[0], &second.live[0]));
        ingest.push(&tenant, request(2..4)).await.unwrap();
        let third = ingest.snapshot(&tenant, &Times::ALL).await.unwrap();
        assert!(!Arc::ptr_eq(&first.live[0], &third.live[0]));
    });
}

#[test]
fn the_same_request_is_stored_once() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        let pushes = (0..20).map(|_| ingest.push(&tenant, request(0..3)));
        let outcomes: Vec<_> = futures::future::join_all(pushes)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            outcomes.iter().filter(|outcome| !outcome.duplicate).count(),
            1
        );
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.accepted == 3 && outcome.rejected == 0)
        );
        // Half of it again is another request, whose spans are known.
        ingest.push(&tenant, request(1..2)).await.unwrap();
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..3));

        // After a restart as well.
        let disk = disk.after_crash(Survives::OnlySynced);
        let store = store.after_crash(&disk);
        let ingest = open(&disk, &store).await;
        assert!(ingest.push(&tenant, request(0..3)).await.unwrap().duplicate);
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..3));
    });
}
