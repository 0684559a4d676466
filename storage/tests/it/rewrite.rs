//! Blocks that are rewritten hold what they held, each span once, as if they had been encoded together.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::DataType;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use storage::block::meta::{AttributeMeta, BlockMeta, HashPiece, Window};
use storage::block::{
    MemoryBlock, ReadBack, WriteOptions, decode, encode, read_block, store_block, verify,
    write_parquet,
};
use storage::compaction::rewrite::{Rewrite, Rewritten};
use storage::compaction::workers::Workers;
use storage::ids::TraceId;
use storage::model::{AnyValue, Span, SpanGroup};
use storage::schema::fixed_fields;

use crate::common::{
    attribute, contents, group, load, open, options, prefix, random, samples, span, text,
};
use crate::round_trip::{groups, seeded};

fn small() -> WriteOptions {
    WriteOptions {
        row_group_rows: 100,
        page_rows: 30,
        zstd_level: 1,
    }
}

/// How blocks are rewritten: length of windows, bits of pieces.
type Cut = (i64, u8);

/// A window that everything is in.
const ALWAYS_S: i64 = i64::MAX / 1_000_000_000;

async fn store_all(store: &Arc<dyn ObjectStore>, blocks: &[Vec<SpanGroup>]) -> Vec<Arc<BlockMeta>> {
    let mut stored = Vec::new();
    for groups in blocks {
        let written = write_parquet(&encode(groups, &options()).unwrap(), &small()).unwrap();
        let meta = store_block(store, &prefix(), written, ReadBack::Verify).await;
        stored.push(meta.unwrap());
    }
    stored
}

async fn rewrite(
    store: &Arc<dyn ObjectStore>,
    inputs: &[Arc<BlockMeta>],
    (window_length_s, piece_bits): Cut,
) -> Rewritten {
    let rewrite = Rewrite {
        inputs,
        window_length_s,
        piece_bits,
        without: Arc::default(),
        options: small(),
        read_back: ReadBack::Verify,
        workers: &Workers::start(1).unwrap(),
    };
    rewrite.run(store, &prefix(), &random()).await.unwrap()
}

/// All rows of a block as one batch, texts without dictionaries.
fn plain(block: &MemoryBlock) -> RecordBatch {
    let batch = concat_batches(&block.schema, &block.batches).unwrap();
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Dictionary(..) => cast(column, &DataType::Utf8).unwrap(),
            _ => Arc::clone(column),
        });
    let names = batch.schema_ref().fields().iter();
    let columns: Vec<(&String, ArrayRef)> = names.map(|f| f.name()).zip(columns).collect();
    RecordBatch::try_from_iter_with_nullable(
        columns
            .iter()
            .map(|(name, column)| (name, Arc::clone(column), true)),
    )
    .unwrap()
}

/// What a description says of attributes, but for which of them have a column.
fn counted(meta: &BlockMeta) -> Vec<AttributeMeta> {
    let mut attributes = meta.attributes.clone();
    for attribute in &mut attributes {
        attribute
            .types
            .iter_mut()
            .for_each(|of_type| of_type.column = None);
        attribute.types.retain(|of_type| of_type.count > 0);
        attribute
            .types
            .sort_by_key(|of_type| of_type.value_type as u8);
    }
    attributes.retain(|attribute| !attribute.types.is_empty());
    attributes
}

/// Checks a rewritten block against one that is encoded of the spans it holds.
async fn check(store: &Arc<dyn ObjectStore>, meta: &Arc<BlockMeta>) -> Vec<SpanGroup> {
    verify(store, &prefix(), meta).await.unwrap();
    let block = read_block(&open(store, meta)).await.unwrap();
    let spans = decode(&block).unwrap();
    let again = encode(&spans, &options()).unwrap();
    let (found, expected) = (plain(&block), plain(&again));
    let mut same: BTreeSet<String> = fixed_fields().iter().map(|f| f.name().clone()).collect();
    same.extend(["events".to_owned(), "links".to_owned()]);
    for name in &same {
        assert_eq!(
            found.column_by_name(name),
            expected.column_by_name(name),
            "{name}"
        );
    }
    let direct = &again.meta;
    assert_eq!(counted(meta), counted(direct));
    assert_eq!(meta.services, direct.services);
    assert_eq!(
        (
            meta.row_count,
            meta.trace_count,
            meta.min_start_ns,
            meta.max_start_ns,
            meta.max_end_ns
        ),
        (
            direct.row_count,
            direct.trace_count,
            direct.min_start_ns,
            direct.max_start_ns,
            direct.max_end_ns
        ),
    );
    let partition = meta.partition.unwrap();
    for (id, start_ns) in traces(&spans) {
        assert!(partition.piece.holds(id));
        assert!(
            partition.window.holds(start_ns),
            "{start_ns} in {partition:?}"
        );
    }
    spans
}

/// The traces of some spans, and when each starts.
fn traces(groups: &[SpanGroup]) -> std::collections::BTreeMap<TraceId, i64> {
    let mut out = std::collections::BTreeMap::new();
    for span in groups.iter().flat_map(|group| &group.spans) {
        let start = out.entry(span.trace_id).or_insert(span.start_ns);
        *start = span.start_ns.min(*start);
    }
    out
}

/// Rewrites blocks and checks that nothing else comes out than went in.
async fn check_all(blocks: &[Vec<SpanGroup>], cut: Cut) -> Vec<Arc<BlockMeta>> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let inputs = store_all(&store, blocks).await;
    let rewritten = rewrite(&store, &inputs, cut).await;
    let mut found = Vec::new();
    let mut spans_out = 0;
    for meta in &rewritten.outputs {
        let spans = check(&store, meta).await;
        spans_out += meta.row_count;
        found.extend(spans);
    }
    let all: Vec<SpanGroup> = blocks.iter().flatten().cloned().collect();
    assert_eq!(contents(&found), contents(&all));
    assert_eq!(spans_out, contents(&all).len() as u64);
    assert_eq!(rewritten.spans_out, spans_out);
    assert_eq!(
        rewritten.spans_in,
        inputs.iter().map(|meta| meta.row_count).sum::<u64>()
    );
    let partitions: Vec<_> = rewritten
        .outputs
        .iter()
        .map(|meta| meta.partition)
        .collect();
    assert!(partitions.is_sorted_by(|a, b| a < b), "{partitions:?}");
    rewritten.outputs
}

/// Spans without attributes, so that those of others are rare.
fn padding(first: u64, count: u64) -> SpanGroup {
    let spans = (first..first + count).map(|id| span(1_000 + id / 3, id, 0, 1_000 * id as i64));
    SpanGroup {
        resource: Arc::default(),
        scope: Arc::default(),
        spans: spans.collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..seeded() })]

    /// Any spans in any blocks, some in several of them, and some blocks so full of others that their
    /// attributes have no column.
    #[test]
    fn nothing_is_lost_or_doubled(
        groups in groups(),
        places in prop::collection::vec(prop::collection::btree_set(0usize..4, 1..3), 1..40),
        padded in prop::collection::vec(any::<bool>(), 4),
        cut in (prop::sample::select(vec![1i64, 2, ALWAYS_S]), 0u8..3),
    ) {
        let mut blocks: Vec<Vec<SpanGroup>> = vec![Vec::new(); 4];
        let mut next = places.iter().cycle();
        for group in &groups {
            for one in &group.spans {
                for place in next.next().unwrap() {
                    blocks[*place].push(SpanGroup {
                        resource: Arc::clone(&group.resource),
                        scope: Arc::clone(&group.scope),
                        spans: vec![one.clone()],
                    });
                }
            }
        }
        for (number, (block, padded)) in (0u64..).zip(blocks.iter_mut().zip(padded)) {
            if padded {
                block.push(padding(number * 1_000, 250));
            }
        }
        blocks.retain(|block| !block.is_empty());
        prop_assume!(!blocks.is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_all(&blocks, cut));
    }
}

fn with(mut span: Span, key: &str, values: Vec<AnyValue>) -> Span {
    let values = values.into_iter().map(|value| attribute(key, value));
    span.attributes.extend(values);
    span
}

/// A key that is rare in one block and not in another, in all ways: as a column that becomes entries of lists, and
/// the other way round; with another type beside it that has a column; twice in one list.
#[tokio::test]
async fn attributes_move_between_columns_and_lists() {
    let int = AnyValue::Int;
    let words = |word: &str| AnyValue::String(word.to_owned());
    let mut rare: Vec<Span> = padding(0, 900).spans;
    rare[3] = with(rare[3].clone(), "k", vec![int(1), words("late")]);
    rare[4] = with(rare[4].clone(), "k", vec![words("x"), int(2)]);
    rare[9] = with(
        rare[9].clone(),
        "k",
        vec![AnyValue::Array(vec![int(1)]), int(3)],
    );
    for span in &mut rare[100..200] {
        *span = with(span.clone(), "mixed", vec![words("often")]);
    }
    rare[150].attributes = vec![attribute("mixed", int(7)), text("mixed", "second")];
    rare[151].attributes = vec![text("mixed", "first"), attribute("mixed", int(8))];
    let mut often: Vec<Span> = Vec::new();
    for id in 5_000..5_040 {
        let values = vec![int(id as i64), int(-1), words("z")];
        often.push(with(span(id, id, 0, 10), "k", values));
    }
    often[3].attributes = vec![text("k", "only text"), attribute("mixed", int(1))];
    often[4].attributes = vec![
        attribute("alone", AnyValue::Bool(true)),
        attribute("alone", int(1)),
    ];
    let blocks = [vec![group("a", rare)], vec![group("b", often)]];
    for cut in [(ALWAYS_S, 0), (ALWAYS_S, 1)] {
        let outputs = check_all(&blocks, cut).await;
        let columns = |key: &str| {
            let attributes = outputs[0].attributes.iter().filter(|a| &*a.key == key);
            let types = attributes.flat_map(|attribute| &attribute.types);
            let named = types.map(|t| (t.value_type, t.column.is_some()));
            named.collect::<BTreeSet<_>>()
        };
        use storage::block::meta::ValueType::{Bool, Int, String};
        assert!(columns("k").contains(&(Int, true)), "{:?}", columns("k"));
        assert!(columns("mixed").contains(&(String, true)));
        if cut.1 == 0 {
            assert!(
                columns("k").contains(&(String, false)),
                "{:?}",
                columns("k")
            );
            assert_eq!(columns("alone"), BTreeSet::from([(Bool, false)]));
            assert!(columns("mixed").contains(&(Int, false)));
        }
    }
}

#[tokio::test]
async fn blocks_are_cut_by_window_and_piece_and_say_what_they_are_made_of() {
    let hour_ns = 3_600_000_000_000;
    let spans = |from: u64| -> Vec<Span> {
        (from..from + 60)
            .map(|id| span(id, 1, 0, (id as i64 % 3) * hour_ns + 5))
            .collect()
    };
    let blocks = [vec![group("a", spans(1))], vec![group("b", spans(31))]];
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let inputs = store_all(&store, &blocks).await;
    let first = rewrite(&store, &inputs, (3_600, 1)).await;
    assert_eq!(first.outputs.len(), 6);
    // The services differ, so no span is there twice, but thirty traces are in both.
    assert_eq!(
        (
            first.spans_out,
            first.duplicates_dropped(),
            first.traces_joined
        ),
        (120, 0, 30)
    );
    for (meta, index) in first.outputs.iter().zip([0, 1].into_iter().cycle()) {
        let partition = meta.partition.unwrap();
        assert_eq!(partition.window, Window::of(meta.min_start_ns, 3_600));
        assert_eq!(partition.piece, HashPiece { bits: 1, index });
        let both: Vec<_> = inputs.iter().map(|meta| meta.block_id).collect();
        assert_eq!(meta.made_of, both);
    }
    let again = rewrite(&store, &first.outputs, (ALWAYS_S, 0)).await;
    let [block] = &again.outputs[..] else {
        panic!("{again:?}");
    };
    assert_eq!(block.made_of, first.outputs[0].made_of);
    assert_eq!((block.row_count, again.traces_joined), (120, 0));
    check(&store, block).await;
}

/// Recorded traces, in blocks that cut traces and repeat some of their spans.
#[tokio::test]
async fn recordings_are_the_same_in_other_blocks() {
    for sample in samples() {
        let groups = load(&sample);
        let mut blocks: Vec<Vec<SpanGroup>> = vec![Vec::new(); 5];
        for (number, group) in groups.iter().enumerate() {
            for (place, spans) in group
                .spans
                .chunks(group.spans.len().div_ceil(2))
                .enumerate()
            {
                let part = SpanGroup {
                    spans: spans.to_vec(),
                    ..group.clone()
                };
                let place = number * 5 / groups.len() + place;
                if number % 4 == 0 {
                    blocks[(place + 1) % 5].push(part.clone());
                }
                blocks[place % 5].push(part);
            }
        }
        blocks.retain(|block| !block.is_empty());
        for cut in [(ALWAYS_S, 0), (3_600, 1)] {
            check_all(&blocks, cut).await;
        }
    }
}

/// With the same ids, the same inputs give the same bytes; and what is in order already is as if it had
/// been written at once.
#[tokio::test]
async fn the_same_inputs_give_the_same_file() {
    let spans: Vec<Span> = (1..200)
        .map(|id| {
            with(
                span(id / 3, id, 0, id as i64),
                "k",
                vec![AnyValue::Int(id as i64 % 7)],
            )
        })
        .collect();
    let blocks: Vec<_> = spans
        .chunks(60)
        .map(|spans| vec![group("a", spans.to_vec())])
        .collect();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let inputs = store_all(&store, &blocks).await;
    let mut files = Vec::new();
    for _ in 0..2 {
        let rewritten = rewrite(&store, &inputs, (ALWAYS_S, 0)).await;
        let block = read_block(&open(&store, &rewritten.outputs[0]))
            .await
            .unwrap();
        let sizes: Vec<_> = block
            .meta
            .columns
            .iter()
            .map(|c| c.compressed_bytes)
            .collect();
        files.push((plain(&block), sizes));
    }
    assert!(files[0] == files[1]);
    let direct = encode(&[group("a", spans)], &options()).unwrap();
    let direct = write_parquet(&direct, &small()).unwrap();
    let sizes: Vec<_> = direct
        .meta
        .columns
        .iter()
        .map(|c| c.compressed_bytes)
        .collect();
    assert_eq!(sizes, files[0].1);
}
