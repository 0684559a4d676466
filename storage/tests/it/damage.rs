//! Damage is found before it becomes an answer.

use std::sync::Arc;

use crate::common::{attribute, contents, group, open, prefix, span, stored, text};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt};
use storage::block::meta::BlockMeta;
use storage::block::{BlockFile, WriteOptions, decode, read_block, verify, verify_bare};
use storage::error::{ErrorKind, StorageError};
use storage::layout;
use storage::model::{AnyValue, Event, SpanGroup};

fn groups() -> Vec<SpanGroup> {
    let spans = (1..60).map(|i| {
        let mut span = span(
            i / 6,
            i,
            if i % 6 == 0 { 0 } else { i - 1 },
            i as i64 * 1_000_003,
        );
        span.attributes = vec![
            text("path", &format!("/a/{i}")),
            attribute("n", AnyValue::Int(i as i64)),
        ];
        let attributes = vec![text("message", "it broke")];
        span.events = vec![Event {
            name: "e".to_owned(),
            attributes,
            ..Event::default()
        }];
        span
    });
    vec![group("shop", spans.collect())]
}

async fn overwrite(store: &Arc<dyn ObjectStore>, meta: &BlockMeta, bytes: Vec<u8>) {
    let path = layout::spans_file(&prefix(), meta);
    store.put(&path, Bytes::from(bytes).into()).await.unwrap();
}

async fn file_of(store: &Arc<dyn ObjectStore>, meta: &BlockMeta) -> Vec<u8> {
    let path = layout::spans_file(&prefix(), meta);
    store
        .get(&path)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn every_flipped_bit_is_found() {
    let write = WriteOptions {
        row_group_rows: 30,
        page_rows: 10,
        zstd_level: 1,
    };
    let (store, meta) = stored(&groups(), &write).await;
    let whole = file_of(&store, &meta).await;
    let expected = contents(&groups());
    let mut refused = 0;
    // A step that is no multiple of anything, and both ends in full.
    let ends = (0..64).chain(whole.len() - 64..whole.len());
    let positions: Vec<usize> = (0..whole.len()).step_by(383).chain(ends).collect();
    for position in &positions {
        let mut bytes = whole.clone();
        bytes[*position] ^= 1 << (position % 8);
        overwrite(&store, &meta, bytes).await;
        let error = verify(&store, &prefix(), &meta).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {position}: {error}");
        match read_block(&open(&store, &meta)).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {position}: {error}");
                refused += 1;
            }
            // Nobody reads the first four bytes; whoever reads on gets the truth.
            Ok(block) => {
                assert!(*position < 4, "byte {position} was flipped and not missed");
                assert_eq!(contents(&decode(&block).unwrap()), expected);
            }
        }
        // Without a catalog there is nothing to compare a footer with, but nothing may panic.
        let path = layout::spans_file(&prefix(), &meta);
        drop(verify_bare(&store, &path).await);
    }
    assert!(refused >= positions.len() - 6);
    overwrite(&store, &meta, whole).await;
    let report = verify(&store, &prefix(), &meta).await.unwrap();
    assert_eq!((report.row_count, report.compared_with_catalog), (59, true));
}

#[tokio::test]
async fn cut_off_and_foreign_files_are_refused() {
    let (store, meta) = stored(&groups(), &WriteOptions::default()).await;
    let whole = file_of(&store, &meta).await;
    let path = layout::spans_file(&prefix(), &meta);
    for length in [0, 4, 11, 12, 1_000, whole.len() / 2, whole.len() - 1] {
        overwrite(&store, &meta, whole[..length].to_vec()).await;
        for error in [
            read_block(&open(&store, &meta))
                .await
                .map(drop)
                .unwrap_err(),
            verify(&store, &prefix(), &meta)
                .await
                .map(drop)
                .unwrap_err(),
            verify_bare(&store, &path).await.map(drop).unwrap_err(),
        ] {
            let kind = error.kind();
            let known = matches!(kind, ErrorKind::Corrupt | ErrorKind::Unavailable);
            assert!(known, "{length} bytes: {kind:?} {error}");
        }
    }
    overwrite(&store, &meta, b"name,age\nA,1\nB,2\n".to_vec()).await;
    let error = BlockFile::open_bare(Arc::clone(&store), path.clone())
        .await
        .unwrap_err();
    assert!(matches!(error, StorageError::NotABlock { .. }), "{error}");
    store.delete(&path).await.unwrap();
    let error = read_block(&open(&store, &meta)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name() {
    let (store, meta) = stored(&groups(), &WriteOptions::default()).await;
    let newer = Arc::new(BlockMeta {
        format_version: 2,
        ..BlockMeta::clone(&meta)
    });
    let error = BlockFile::new(
        store,
        &prefix(),
        newer,
        Arc::new(storage::block::BlockCache::new(0, 0)),
        Arc::default(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            StorageError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_bare_file_tells_what_it_is() {
    let (store, meta) = stored(&groups(), &WriteOptions::default()).await;
    let path = layout::spans_file(&prefix(), &meta);
    let report = verify_bare(&store, &path).await.unwrap();
    assert_eq!(report.row_count, 59);
    let file = BlockFile::open_bare(store, path).await.unwrap();
    assert_eq!(file.meta().attributes, meta.attributes);
    assert_eq!(file.meta().columns, meta.columns);
    let read = decode(&read_block(&file).await.unwrap()).unwrap();
    assert_eq!(contents(&read), contents(&groups()));
}

#[tokio::test]
async fn only_what_is_wanted_is_read_and_only_once_checked() {
    use parquet::arrow::async_reader::AsyncFileReader;
    let (store, meta) = stored(&groups(), &WriteOptions::default()).await;
    let mut file = open(&store, &meta);
    let footer = file.footer().await.unwrap();
    let counters = Arc::clone(file.counters());
    assert_eq!(counters.requests(), 1);
    let column = footer.metadata().row_group(0).column(5);
    let (start, length) = column.byte_range();
    let before = counters.bytes();
    file.get_bytes(start..start + 4).await.unwrap();
    assert_eq!(
        counters.bytes() - before,
        length,
        "the whole chunk is checked at first"
    );
    file.get_bytes(start..start + 4).await.unwrap();
    assert_eq!(
        counters.bytes() - before,
        length + 4,
        "then only the range is read"
    );
    assert_eq!(counters.requests(), 3);
}
