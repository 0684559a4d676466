//! Stores that earlier versions of the program have written are read for ever.
//!
//! Each folder `testdata/stores/v…` holds what the program wrote when that version of the catalog's format
//! was the newest: a store with two blocks and the roots of two commits, and beside it the spans of
//! each block as OTLP in JSON. These files are never written anew. A new version of the format gets a
//! folder of its own, by running these tests with `SPANDREL_WRITE_GOLDEN=1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{contents, trace_id};
use crate::golden_spans::{several_services, single_span};
use crate::values::expected as expected_values;
use object_store::ObjectStoreExt;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use storage::Random;
use storage::block::meta::{AttributeScope, BlockMeta};
use storage::block::{
    BlockCache, BlockFile, EncodeOptions, ReadBack, ValueLimits, ValueSource, WriteOptions, decode,
    encode, read_block, read_trace, read_values, store_block, verify, write_parquet,
};
use storage::catalog::{CATALOG_FORMAT_VERSION, Catalog, Edit, Root};
use storage::ids::{BlockId, TenantId, TraceId};
use storage::layout;
use storage::model::SpanGroup;
use storage::otlp::{from_request, to_resource_spans};
use storage::schema::names;
use storage::snapshot::Times;
use storage::store::{StoreLocation, open_store};

/// The ids of the two blocks: one of several services in several row groups, one of a single span.
const BLOCKS: [&str; 2] = ["01JXAMPE000000000000000001", "01JXAMPE000000000000000002"];

fn block_id(number: usize) -> BlockId {
    BLOCKS[number].parse().unwrap()
}

fn folder(version: u32) -> PathBuf {
    let blocks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/stores");
    blocks.join(format!("v{version}"))
}

fn store(version: u32) -> StoreLocation {
    let directory = folder(version).join("store");
    open_store(directory.to_str().unwrap(), &BTreeMap::new()).unwrap()
}

/// The spans of a block, as they were recorded beside it.
fn expected(version: u32, number: usize) -> Vec<SpanGroup> {
    let path = folder(version).join(format!("{}.spans.json", BLOCKS[number]));
    let json = std::fs::read_to_string(path).unwrap();
    let request: ExportTraceServiceRequest = serde_json::from_str(&json).unwrap();
    let decoded = from_request(request);
    assert!(decoded.rejected.is_empty());
    decoded.groups
}

fn trace_ids(groups: &[SpanGroup]) -> BTreeSet<TraceId> {
    let spans = groups.iter().flat_map(|group| &group.spans);
    spans.map(|span| span.trace_id).collect()
}

async fn catalog(location: &StoreLocation) -> Catalog {
    let (store, prefix) = (Arc::clone(&location.store), location.prefix.clone());
    let (random, parts) = (Random::from_system(), Arc::default());
    let catalog = Catalog::open(store, prefix, TenantId::single(), random, parts);
    catalog.await.unwrap()
}

async fn blocks(location: &StoreLocation) -> Vec<Arc<BlockMeta>> {
    let catalog = catalog(location).await;
    let root = catalog.current();
    catalog.blocks(&root, &Times::ALL.spans).await.unwrap()
}

fn file(location: &StoreLocation, meta: &Arc<BlockMeta>) -> BlockFile {
    let (store, meta) = (Arc::clone(&location.store), Arc::clone(meta));
    let cache = Arc::new(BlockCache::new(1 << 20, 1 << 20));
    BlockFile::new(store, &location.prefix, meta, cache, Arc::default()).unwrap()
}

/// Writes the files of the version that this build writes.
async fn write() {
    let folder = folder(CATALOG_FORMAT_VERSION);
    let is_there = folder.try_exists().unwrap();
    assert!(!is_there, "golden files are never written anew");
    std::fs::create_dir_all(folder.join("store")).unwrap();
    let location = store(CATALOG_FORMAT_VERSION);
    let (store, prefix) = (&location.store, &location.prefix);
    let catalog = catalog(&location).await;
    let options = WriteOptions {
        row_group_rows: 24,
        page_rows: 24,
        ..WriteOptions::default()
    };
    for (number, spans) in [several_services(), single_span()].into_iter().enumerate() {
        let request = ExportTraceServiceRequest {
            resource_spans: to_resource_spans(&spans),
        };
        let json = serde_json::to_string_pretty(&request).unwrap();
        let beside = folder.join(format!("{}.spans.json", BLOCKS[number]));
        std::fs::write(beside, json + "\n").unwrap();
        let named = EncodeOptions::new(TenantId::single(), block_id(number));
        let written = write_parquet(&encode(&spans, &named).unwrap(), &options).unwrap();
        let meta = store_block(store, prefix, written, ReadBack::Verify).await;
        catalog.commit(Edit::add(meta.unwrap())).await.unwrap();
    }
}

/// The versions of which there are golden files, which are all that were ever written.
async fn versions() -> std::ops::RangeInclusive<u32> {
    static WRITTEN: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    if std::env::var_os("SPANDREL_WRITE_GOLDEN").is_some() {
        WRITTEN.get_or_init(write).await;
    }
    1..=CATALOG_FORMAT_VERSION
}

#[tokio::test]
async fn every_field_of_every_span_comes_back() {
    for version in versions().await {
        let location = store(version);
        for (number, meta) in blocks(&location).await.iter().enumerate() {
            let block = read_block(&file(&location, meta)).await.unwrap();
            let spans = decode(&block).unwrap();
            assert_eq!(contents(&spans), contents(&expected(version, number)));
            let report = verify(&location.store, &location.prefix, meta).await;
            assert_eq!(report.unwrap().row_count, meta.row_count);
        }
    }
}

#[tokio::test]
async fn catalogs_say_what_is_in_the_blocks() {
    for version in versions().await {
        let location = store(version);
        let root = catalog(&location).await.current();
        assert_eq!((root.version, root.oldest_version), (2, 1));
        assert_eq!(root.tenant, TenantId::single());
        assert_eq!(root.writer_nonce.len(), 26);
        let blocks = blocks(&location).await;
        let ids: Vec<BlockId> = blocks.iter().map(|meta| meta.block_id).collect();
        assert_eq!(ids, [block_id(0), block_id(1)]);
        for (number, meta) in blocks.iter().enumerate() {
            check_meta(meta, &expected(version, number));
            // The file says the same of itself, but for what says where it ends.
            let path = layout::spans_file(&location.prefix, meta);
            let bare = BlockFile::open_bare(Arc::clone(&location.store), path).await;
            let bare = BlockMeta {
                file: meta.file.clone(),
                trace_id_filter: meta.trace_id_filter,
                columns: meta.columns.clone(),
                row_groups: meta.row_groups.clone(),
                ..BlockMeta::clone(bare.unwrap().meta())
            };
            assert_eq!(bare, **meta);
            check_filter(&location, meta, &expected(version, number)).await;
        }
        assert!(blocks[0].row_groups.len() > 1);
        let first = layout::root_file(&location.prefix, &TenantId::single(), 1);
        let bytes = location.store.get(&first).await.unwrap();
        let bytes = bytes.bytes().await.unwrap();
        let first = Root::from_bytes(first.as_ref(), &bytes).unwrap();
        assert_eq!((first.version, first.block_count()), (1, 1));
    }
}

async fn check_filter(location: &StoreLocation, meta: &Arc<BlockMeta>, groups: &[SpanGroup]) {
    let filter = file(location, meta).trace_id_filter().await.unwrap();
    let ids = trace_ids(groups);
    assert!(ids.iter().all(|id| filter.contains(*id)));
    assert!(!(1_000..1_020).all(|other| filter.contains(trace_id(other))));
}

/// Compares a description with the spans.
fn check_meta(meta: &BlockMeta, groups: &[SpanGroup]) {
    let spans = || groups.iter().flat_map(|group| &group.spans);
    let ids = trace_ids(groups);
    assert_eq!(meta.row_count, spans().count() as u64);
    assert_eq!(meta.trace_count, ids.len() as u64);
    assert_eq!(Some(meta.min_start_ns), spans().map(|s| s.start_ns).min());
    assert_eq!(Some(meta.max_start_ns), spans().map(|s| s.start_ns).max());
    let services = groups.iter().map(|group| {
        let name = group.resource.service_name();
        Arc::from(name.unwrap_or_default())
    });
    let services: BTreeSet<Arc<str>> = services.collect();
    let listed = meta.services.iter().flatten().cloned();
    assert_eq!(listed.collect::<BTreeSet<_>>(), services);
    assert!(meta.attributes_complete);
    let mut keys = BTreeSet::from([(AttributeScope::Resource, "service.name".to_owned())]);
    for group in groups {
        let mut add = |scope, list: &[storage::model::Attribute]| {
            keys.extend(list.iter().map(|one| (scope, one.key.to_string())));
        };
        add(AttributeScope::Resource, &group.resource.attributes);
        add(AttributeScope::Instrumentation, &group.scope.attributes);
        for span in &group.spans {
            add(AttributeScope::Span, &span.attributes);
            let events = span.events.iter();
            events.for_each(|event| add(AttributeScope::Event, &event.attributes));
            let links = span.links.iter();
            links.for_each(|link| add(AttributeScope::Link, &link.attributes));
        }
    }
    let listed = meta.attributes.iter();
    let listed = listed.map(|attribute| (attribute.scope, attribute.key.to_string()));
    assert_eq!(listed.collect::<BTreeSet<_>>(), keys);
}

#[tokio::test]
async fn traces_are_found() {
    for version in versions().await {
        let location = store(version);
        for (number, meta) in blocks(&location).await.iter().enumerate() {
            let groups = expected(version, number);
            for id in trace_ids(&groups) {
                let mut of_trace = groups.clone();
                let spans = of_trace.iter_mut().map(|group| &mut group.spans);
                spans.for_each(|spans| spans.retain(|span| span.trace_id == id));
                let found = read_trace(file(&location, meta), id, u64::MAX).await;
                let found = found.unwrap().into_groups();
                assert_eq!(contents(&found), contents(&of_trace), "{id}");
            }
            let other = read_trace(file(&location, meta), trace_id(1_000), u64::MAX).await;
            assert!(other.unwrap().into_groups().is_empty());
        }
    }
}

#[tokio::test]
async fn values_are_found() {
    let always = i64::MIN..=i64::MAX;
    let attribute = |scope, key: &str| ValueSource::Attribute {
        scope,
        key: key.to_owned(),
    };
    let sources = [
        ValueSource::Column(names::NAME),
        ValueSource::EventName,
        attribute(AttributeScope::Resource, "service.name"),
        attribute(AttributeScope::Span, "mixed"),
        attribute(AttributeScope::Span, "twice"),
        attribute(AttributeScope::Event, "event.int.least"),
        attribute(AttributeScope::Link, "link.array.text"),
        attribute(AttributeScope::Instrumentation, "scope.double.zero"),
    ];
    for version in versions().await {
        let location = store(version);
        let blocks = blocks(&location).await;
        let (meta, groups) = (&blocks[0], expected(version, 0));
        for source in &sources {
            let (file, none) = (file(&location, meta), ValueLimits::NONE);
            let found = read_values(file, source, always.clone(), none).await;
            let found = found.unwrap().into_values();
            assert!(!found.is_empty(), "{source:?}");
            let expected = expected_values(&groups, source, &always);
            assert_eq!(found, expected, "{source:?}");
        }
    }
}
