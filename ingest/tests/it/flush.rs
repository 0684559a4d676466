//! From the head to stored blocks, when it works and when it does not.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use storage::SnapshotSource as _;
use storage::ids::TenantId;
use storage::snapshot::Times;
use testkit::clock::TestClock;

use super::cluster::{Store, open, open_at, quiet, run};
use super::requests::{counts, once, request};
use super::sim_disk::{Fault, SimDisk, Survives};

#[test]
fn spans_move_from_the_head_to_a_block_and_the_log_is_freed() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request(0..10)).await.unwrap();
        let before = ingest.snapshot(&tenant, &Times::ALL).await.unwrap();
        assert_eq!((before.live.len(), before.stored.len()), (1, 0));
        ingest.flush().await;
        let after = ingest.snapshot(&tenant, &Times::ALL).await.unwrap();
        assert_eq!((after.live.len(), after.stored.len()), (0, 1));
        assert_eq!(after.stored[0].block_id, before.live[0].meta.block_id);
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..10));
        assert!(disk.files().is_empty());
        assert!(ingest.live_tenants().is_empty());
    });
}

#[test]
fn blocks_are_cut_by_size_by_age_and_when_idle() {
    run(async {
        let tenant = TenantId::single();
        let long = Duration::from_secs(100_000);
        let limits = |max_block_bytes, max_block_duration, max_trace_idle| {
            let mut config = quiet();
            config.live_store.max_block_bytes = max_block_bytes;
            config.live_store.max_block_duration = max_block_duration;
            config.live_store.max_trace_idle = max_trace_idle;
            config
        };
        let due = Duration::from_secs(10);
        let by_size = limits(1, long, long);
        let by_age = limits(1 << 30, due, long);
        let by_idle = limits(1 << 30, long, due);
        for (config, wait) in [(by_size, Duration::ZERO), (by_age, due), (by_idle, due)] {
            let disk = SimDisk::default();
            let store = Store::new(&disk);
            let clock = TestClock::at(1_700_000_000_000_000_000);
            let ingest = open_at(config, &disk, &store, Arc::clone(&clock) as _).await;
            let ingest = ingest.unwrap();
            ingest.push(&tenant, request(0..2)).await.unwrap();
            clock.advance(wait);
            while !ingest.live_tenants().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(counts(&ingest, &store, &tenant).await, once(0..2));
        }
    });
}

#[test]
fn a_store_that_fails_costs_nothing_but_time() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request(0..2)).await.unwrap();
        disk.fault_next(Fault::FailFromHere(ErrorKind::Other));
        assert!(
            tokio::time::timeout(Duration::from_millis(100), ingest.flush())
                .await
                .is_err()
        );
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..2));
        disk.heal();
        ingest.flush().await;
        while !ingest.live_tenants().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..2));
    });
}

#[test]
fn shutdown_stores_everything_or_leaves_it_in_the_log() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let tenant = TenantId::single();
        let ingest = open(&disk, &store).await;
        ingest.push(&tenant, request(0..2)).await.unwrap();
        assert_eq!(ingest.shutdown().await.blocks_left_in_log, 0);
        assert!(ingest.push(&tenant, request(2..4)).await.is_err());
        assert!(disk.files().is_empty());

        let ingest = open(&disk, &store).await;
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..2));
        ingest.push(&tenant, request(2..4)).await.unwrap();
        disk.fault_next(Fault::FailFromHere(ErrorKind::Other));
        assert_eq!(ingest.shutdown().await.blocks_left_in_log, 1);
        let disk = disk.after_crash(Survives::OnlySynced);
        let store = store.after_crash(&disk);
        let ingest = open(&disk, &store).await;
        assert_eq!(counts(&ingest, &store, &tenant).await, once(0..4));
    });
}

#[test]
fn tenants_are_apart() {
    run(async {
        let disk = SimDisk::default();
        let store = Store::new(&disk);
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let ingest = open(&disk, &store).await;
        // The same request of two tenants is two requests.
        ingest.push(&a, request(0..2)).await.unwrap();
        assert!(!ingest.push(&b, request(0..2)).await.unwrap().duplicate);
        ingest.push(&b, request(2..4)).await.unwrap();
        assert_eq!(ingest.live_tenants(), [a.clone(), b.clone()]);
        for _ in 0..2 {
            assert_eq!(counts(&ingest, &store, &a).await, once(0..2));
            assert_eq!(counts(&ingest, &store, &b).await, once(0..4));
            assert!(
                counts(&ingest, &store, &TenantId::single())
                    .await
                    .is_empty()
            );
            ingest.flush().await;
        }
    });
}
