//! Columns read encoded are those of the block, whether anyone has read them before or not.

use std::sync::Arc;

use crate::common::{attribute, group, open_with as open, span, stored, text};
use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, UInt32Array, new_empty_array,
};
use arrow::compute::{cast, concat, concat_batches, filter_record_batch, take};
use arrow::datatypes::DataType;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use storage::block::encoded::{EncodedColumn, can_read};
use storage::block::{BlockCache, BlockFile, WriteOptions, read_block, read_columns};
use storage::ids::TraceId;
use storage::model::{AnyValue, SpanGroup};
use storage::schema::names;

const ROOM: u64 = 64 << 20;

/// Traces of a few spans, with attributes that all, some and hardly any spans have.
fn groups() -> Vec<SpanGroup> {
    let spans = (1..=3_000_u64).map(|id| {
        let mut span = span(1 + id / 7, id, 0, id as i64 * 1_000_003);
        if id % 3 == 0 {
            span.attributes
                .push(text("some", &format!("value {}", id % 11)));
        }
        if id % 500 == 0 {
            span.attributes.push(text("few", &format!("value {id}")));
        }
        let number = AnyValue::Double(id as f64 / 7.0);
        span.attributes.push(attribute("number", number));
        span
    });
    vec![group("shop", spans.collect())]
}

fn small_pages() -> WriteOptions {
    WriteOptions {
        row_group_rows: 1_200,
        page_rows: 250,
        ..WriteOptions::default()
    }
}

/// Leaf columns that can be read encoded, with their types and places in the schema.
async fn readable(file: &mut BlockFile) -> Vec<(usize, DataType, usize)> {
    let footer = file.footer().await.unwrap();
    let (metadata, schema) = (footer.metadata(), footer.schema().unwrap());
    let leaves = metadata.file_metadata().schema_descr().columns().iter();
    leaves
        .enumerate()
        .filter_map(|(leaf, column)| {
            let place = schema.index_of(&column.path().string()).ok()?;
            let data_type = schema.field(place).data_type().clone();
            let groups = 0..metadata.num_row_groups();
            let mut readable = groups.map(|group| can_read(metadata, group, leaf, &data_type));
            readable.all(|can| can).then_some((leaf, data_type, place))
        })
        .collect()
}

/// Values of the rows at `wanted`, ascending.
fn values(column: &mut EncodedColumn, wanted: &[usize]) -> ArrayRef {
    let mut parts: Vec<ArrayRef> = Vec::new();
    for &row in wanted {
        column.seek(row).unwrap();
        let mut code = [0];
        column.read(&mut code).unwrap();
        parts.push(take(column.values(), &UInt32Array::from(code.to_vec()), None).unwrap());
    }
    match parts.first() {
        None => new_empty_array(column.values().data_type()),
        Some(_) => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap(),
    }
}

fn plain(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Dictionary(_, of) => cast(values, of).unwrap(),
        _ => Arc::clone(values),
    }
}

#[tokio::test]
async fn columns_are_what_the_library_reads() {
    let (store, meta) = stored(&groups(), &small_pages()).await;
    let cache = Arc::new(BlockCache::new(ROOM, ROOM));
    let whole = read_block(&open(&store, &meta, &cache)).await.unwrap();
    let columns = readable(&mut open(&store, &meta, &cache)).await;
    assert!(columns.len() > 20, "{columns:?}");
    assert_eq!(meta.row_groups.len(), 3);
    let mut runner = TestRunner::deterministic();
    for round in 0..4 {
        let mut first = 0;
        for (row_group, rows) in meta
            .row_groups
            .iter()
            .map(|group| group.row_count)
            .enumerate()
        {
            let rows = rows as usize;
            // In each round other pages are the first to be read.
            let some = prop::sample::subsequence((0..rows).collect::<Vec<_>>(), 0..40);
            let wanted = some.new_tree(&mut runner).unwrap().current();
            let mut file = open(&store, &meta, &cache);
            let leaves: Vec<_> = columns
                .iter()
                .map(|(leaf, t, _)| (*leaf, t.clone()))
                .collect();
            let opened = EncodedColumn::open(&mut file, row_group, &leaves)
                .await
                .unwrap();
            for (mut column, (_, _, place)) in opened.into_iter().zip(&columns) {
                let stored: Vec<_> = whole.batches.iter().map(|b| b.column(*place)).collect();
                let stored: Vec<_> = stored.iter().map(|column| column.as_ref()).collect();
                let at: UInt32Array = wanted.iter().map(|row| (first + row) as u32).collect();
                let expected = take(&concat(&stored).unwrap(), &at, None).unwrap();
                let found = values(&mut column, &wanted);
                assert_eq!(&found, &plain(&expected), "{round} {row_group} {place}");
            }
            first += rows;
        }
    }
}

#[tokio::test]
async fn what_was_read_is_not_fetched_again() {
    let (store, meta) = stored(&groups(), &small_pages()).await;
    let reads = async |cache: &Arc<BlockCache>| {
        let mut file = open(&store, &meta, cache);
        let columns = readable(&mut file).await;
        let leaves: Vec<_> = columns
            .iter()
            .map(|(leaf, t, _)| (*leaf, t.clone()))
            .collect();
        let before = file.counters().requests();
        for column in &mut EncodedColumn::open(&mut file, 0, &leaves).await.unwrap() {
            column.seek(0).unwrap();
            column.seek(600).unwrap();
        }
        (file.counters().requests() - before, cache.memory_bytes())
    };
    let roomy = Arc::new(BlockCache::new(ROOM, ROOM));
    let (requests, cold_bytes) = reads(&roomy).await;
    assert!(requests > 0);
    let (requests, warm_bytes) = reads(&roomy).await;
    assert_eq!((requests, warm_bytes), (0, cold_bytes));
    // With room for footers alone there are no columns, and with little room few.
    let none = Arc::new(BlockCache::new(ROOM, 0));
    reads(&none).await;
    let (requests, footer_bytes) = reads(&none).await;
    assert!(requests > 0);
    let half = (cold_bytes - footer_bytes) / 2;
    let little = Arc::new(BlockCache::new(ROOM, half));
    for _ in 0..3 {
        let (requests, bytes) = reads(&little).await;
        assert!(requests > 0);
        assert!((1..=half).contains(&(bytes - footer_bytes)), "{bytes}");
    }
}

#[tokio::test]
async fn traces_are_found_by_what_is_kept() {
    let (store, meta) = stored(&groups(), &small_pages()).await;
    let cache = Arc::new(BlockCache::new(ROOM, ROOM));
    let all = || storage::block::read_trace_ids(open(&store, &meta, &cache), &[0, 1, 2]);
    let first = all().await.unwrap();
    let ids: Vec<TraceId> = (1..=429).map(crate::common::trace_id).collect();
    assert_eq!(first, ids);
    assert_eq!(all().await.unwrap(), ids);
    let filter = open(&store, &meta, &cache).trace_id_filter().await.unwrap();
    assert!(ids.iter().all(|id| filter.contains(*id)));
    for id in ids {
        let file = open(&store, &meta, &cache);
        let counters = Arc::clone(file.counters());
        let found = storage::block::read_trace(file, id, u64::MAX)
            .await
            .unwrap();
        let spans: usize = found
            .into_groups()
            .iter()
            .map(|group| group.spans.len())
            .sum();
        let expected = (1..=3_000_u64).filter(|span| crate::common::trace_id(1 + span / 7) == id);
        assert_eq!(spans, expected.count(), "{id:?}");
        // The pages of its rows, and nothing to find them by.
        assert!(counters.requests() <= 1, "{}", counters.requests());
    }
}

#[tokio::test]
async fn all_rows_of_some_traces_are_read_and_no_others() {
    let (store, meta) = stored(&groups(), &small_pages()).await;
    let cache = Arc::new(BlockCache::new(ROOM, ROOM));
    let whole = read_block(&open(&store, &meta, &cache)).await.unwrap();
    let whole = concat_batches(&whole.schema, &whole.batches).unwrap();
    let ids = whole.column_by_name(names::TRACE_ID).unwrap();
    let ids = ids.as_fixed_size_binary().clone();
    let mut runner = TestRunner::deterministic();
    // Many in some pages and none in others, then whatever.
    let dense = |number: &u64| number.is_multiple_of(2) && (number * 7 / 250).is_multiple_of(2);
    let mut selections: Vec<Vec<u64>> = vec![(1..=429).filter(dense).collect()];
    for most in [0, 1, 3, 20, 200, 429] {
        let numbers = prop::sample::subsequence((1..=429).collect::<Vec<u64>>(), 0..=most);
        selections.extend((0..8).map(|_| numbers.new_tree(&mut runner).unwrap().current()));
    }
    for numbers in selections {
        let traces: hashbrown::HashSet<TraceId> = numbers
            .iter()
            .copied()
            .map(crate::common::trace_id)
            .collect();
        let is_wanted = ids.iter().map(|id| {
            let id: [u8; 16] = id.unwrap().try_into().unwrap();
            Some(traces.contains(&TraceId(id)))
        });
        let is_wanted: BooleanArray = is_wanted.collect();
        let expected = filter_record_batch(&whole, &is_wanted).unwrap();
        let mut found = Vec::new();
        for row_group in 0..meta.row_groups.len() {
            let mut file = open(&store, &meta, &cache);
            let batches = read_columns(&mut file, row_group, &traces, &|_| true).await;
            for batch in batches.unwrap() {
                found.push(batch.unwrap());
            }
        }
        for field in whole.schema().fields() {
            let column = |batch: &RecordBatch| batch.column_by_name(field.name()).cloned();
            let parts: Vec<ArrayRef> = found.iter().map(|b| column(b).unwrap()).collect();
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            let read = if parts.is_empty() {
                new_empty_array(field.data_type())
            } else {
                concat(&parts).unwrap()
            };
            let expected = column(&expected).unwrap();
            let name = field.name();
            assert_eq!(&plain(&read), &plain(&expected), "{name} of {numbers:?}");
        }
    }
}
