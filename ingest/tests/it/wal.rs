//! Damage to the log's files, found at start.

use std::path::PathBuf;

use ingest::OpenError;
use storage::ids::TenantId;

use super::cluster::{Store, open, quiet, run, try_open};
use super::requests::{counts, once, request};
use super::sim_disk::{SimDisk, Survives};

/// A disk with one segment of four requests, and the segment's path.
async fn segment() -> (SimDisk, Store, PathBuf) {
    let disk = SimDisk::default();
    let store = Store::new(&disk);
    let ingest = open(&disk, &store).await;
    for number in 0..4 {
        ingest
            .push(&TenantId::single(), request([number]))
            .await
            .unwrap();
    }
    let path = disk.files().remove(0);
    (disk.after_crash(Survives::OnlySynced), store, path)
}

#[test]
fn damage_anywhere_costs_one_request_and_is_put_aside() {
    run(async {
        let (disk, store, path) = segment().await;
        let len = disk.bytes(&path).len();
        for at in (0..len).step_by(7) {
            let damaged = disk.after_crash(Survives::All);
            damaged.tamper(&path, |bytes| bytes[at] ^= 0x40);
            // Each start finds the store as it was.
            let store = store.fork(&damaged);
            let found = counts(&open(&damaged, &store).await, &store, &TenantId::single()).await;
            assert_eq!(found.len(), 3, "byte {at}");
            assert!(found.values().all(|count| *count == 1));
            let last = !found.contains_key(&3);
            let quarantined = damaged
                .files()
                .iter()
                .any(|path| path.starts_with("quarantine"));
            // Of the last record nobody knows whether it was ever durable.
            assert_eq!(quarantined, !last, "byte {at}");
        }
    });
}

#[test]
fn a_cut_is_silent_unless_a_later_segment_knows_better() {
    run(async {
        let (disk, store, path) = segment().await;
        let cut = |disk: &SimDisk| disk.tamper(&path, |bytes| bytes.truncate(bytes.len() - 5));
        let torn = disk.after_crash(Survives::All);
        cut(&torn);
        let torn_store = store.fork(&torn);
        let found = counts(
            &open(&torn, &torn_store).await,
            &torn_store,
            &TenantId::single(),
        )
        .await;
        assert_eq!(found, once(0..3));
        assert!(
            torn.files()
                .iter()
                .all(|path| !path.starts_with("quarantine"))
        );

        // A process that could not store the segment goes on in a second one.
        let second = disk.after_crash(Survives::All);
        let second_store = store.fork(&second);
        second_store.refuse_writes();
        let ingest = open(&second, &second_store).await;
        ingest
            .push(&TenantId::single(), request([4]))
            .await
            .unwrap();
        let second = second.after_crash(Survives::OnlySynced);
        cut(&second);
        let second_store = second_store.fork(&second);
        let found = counts(
            &open(&second, &second_store).await,
            &second_store,
            &TenantId::single(),
        )
        .await;
        assert_eq!(found, once([0, 1, 2, 4]));
        assert!(
            second
                .files()
                .iter()
                .any(|path| path.starts_with("quarantine"))
        );
    });
}

#[test]
fn foreign_empty_and_repeated_files_do_no_harm() {
    run(async {
        let (disk, store, path) = segment().await;
        let dir = path.parent().unwrap();
        let add = |name: &str, bytes: &[u8]| {
            ingest::Disk::create(&disk, &dir.join(name))
                .unwrap()
                .append(bytes)
                .unwrap();
        };
        add("notes.txt", b"not ours");
        add("01ARZ3NDEKTSV4RRFFQ69G5FAV.wal", b"");
        // The same bytes under another name are another segment's, and none of its records.
        add("01ARZ3NDEKTSV4RRFFQ69G5FAW.wal", &disk.bytes(&path));
        add("01ARZ3NDEKTSV4RRFFQ69G5FAX.wal", &[0; 5000]);
        let disk = disk.after_crash(Survives::All);
        let store = store.after_crash(&disk);
        let ingest = open(&disk, &store).await;
        assert_eq!(
            counts(&ingest, &store, &TenantId::single()).await,
            once(0..4)
        );
        ingest.flush().await;
        let left: Vec<PathBuf> = disk
            .files()
            .into_iter()
            .filter(|path| path.starts_with("wal"))
            .collect();
        assert_eq!(left, [dir.join("notes.txt")]);
    });
}

#[test]
fn a_log_of_a_newer_version_is_refused_and_left_alone() {
    run(async {
        let (disk, store, path) = segment().await;
        disk.tamper(&path, |bytes| {
            // The first record: the version, then the CRC again.
            bytes[46] = 3;
            let len = 64
                + usize::from(bytes[45])
                + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
            let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..4]), &bytes[8..len]);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        });
        let before = disk.bytes(&path);
        let store = store.after_crash(&disk);
        assert!(matches!(
            try_open(quiet(), &disk, &store).await,
            Err(OpenError::NewerLog { version: 3, .. })
        ));
        assert_eq!(disk.bytes(&path), before);
    });
}
