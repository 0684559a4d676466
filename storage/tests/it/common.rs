//! What several test files need.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::block::meta::BlockMeta;
use storage::block::{
    BlockCache, BlockFile, EncodeOptions, MemoryBlock, ReadBack, WriteOptions, encode, store_block,
    write_parquet,
};
use storage::ids::{SpanId, TenantId, TraceId};
use storage::model::{AnyValue, Attribute, Resource, Span, SpanGroup};
use storage::random::Random;

/// Makes up ids and nonces for all tests of this process.
pub(crate) fn random() -> Arc<Random> {
    static RANDOM: LazyLock<Arc<Random>> = LazyLock::new(Random::from_system);
    Arc::clone(&RANDOM)
}

pub(crate) fn options() -> EncodeOptions {
    EncodeOptions::new(TenantId::single(), random().block_id())
}

pub(crate) fn block(groups: &[SpanGroup]) -> MemoryBlock {
    encode(groups, &options()).unwrap()
}

pub(crate) fn attribute(key: &str, value: AnyValue) -> Attribute {
    Attribute {
        key: key.into(),
        value,
    }
}

pub(crate) fn text(key: &str, value: &str) -> Attribute {
    attribute(key, AnyValue::String(value.to_owned()))
}

pub(crate) fn trace_id(number: u64) -> TraceId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

pub(crate) fn span_id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

pub(crate) fn span(trace: u64, id: u64, parent: u64, start_ns: i64) -> Span {
    Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        parent_span_id: (parent != 0).then(|| span_id(parent)),
        name: format!("op {}", id % 3),
        start_ns,
        end_ns: start_ns + 1_000,
        ..Span::default()
    }
}

pub(crate) fn group(service: &str, spans: Vec<Span>) -> SpanGroup {
    let attributes = vec![text("service.name", service)];
    let resource = Arc::new(Resource {
        attributes,
        ..Resource::default()
    });
    SpanGroup {
        resource,
        scope: Arc::default(),
        spans,
    }
}

/// Stores a block in memory.
pub(crate) async fn stored(
    groups: &[SpanGroup],
    write: &WriteOptions,
) -> (Arc<dyn ObjectStore>, Arc<BlockMeta>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let written = write_parquet(&block(groups), write).unwrap();
    let meta = store_block(&store, &prefix(), written, ReadBack::Verify)
        .await
        .unwrap();
    (store, meta)
}

pub(crate) fn prefix() -> Path {
    Path::from("some/prefix")
}

pub(crate) fn open(store: &Arc<dyn ObjectStore>, meta: &Arc<BlockMeta>) -> BlockFile {
    open_with(store, meta, &Arc::new(BlockCache::new(64 << 20, 16 << 20)))
}

/// Opens a block with what others have read, and counters of its own.
pub(crate) fn open_with(
    store: &Arc<dyn ObjectStore>,
    meta: &Arc<BlockMeta>,
    cache: &Arc<BlockCache>,
) -> BlockFile {
    let (store, meta, counters) = (Arc::clone(store), Arc::clone(meta), Arc::default());
    BlockFile::new(store, &prefix(), meta, Arc::clone(cache), counters).unwrap()
}

/// All that the spans say, as text that can be compared: without regard to the order of spans and
/// of different keys, and each different span once.
pub(crate) fn contents(groups: &[SpanGroup]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for group in groups {
        let mut resource = Resource::clone(&group.resource);
        let mut scope = group.scope.as_ref().clone();
        sort(&mut resource.attributes);
        sort(&mut scope.attributes);
        for span in &group.spans {
            let mut span = span.clone();
            sort(&mut span.attributes);
            span.events
                .iter_mut()
                .for_each(|event| sort(&mut event.attributes));
            span.links
                .iter_mut()
                .for_each(|link| sort(&mut link.attributes));
            out.push(format!("{resource:?} {scope:?} {span:?}"));
        }
    }
    out.sort();
    out.dedup();
    out
}

fn sort(attributes: &mut [Attribute]) {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
}

/// Recorded traces.
pub(crate) fn samples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/traces");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".sample.otlp.zst"))
        .collect();
    files.sort();
    assert!(
        !files.is_empty(),
        "no recorded traces in {}",
        folder.display()
    );
    files
}

pub(crate) fn load(path: &PathBuf) -> Vec<SpanGroup> {
    let file = std::fs::File::open(path).unwrap();
    storage::otlp::read_delimited(zstd::Decoder::new(file).unwrap())
        .flat_map(|request| {
            let decoded = storage::otlp::from_request(request.unwrap());
            assert!(decoded.rejected.is_empty());
            decoded.groups
        })
        .collect()
}
