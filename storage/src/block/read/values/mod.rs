//! Which values an attribute or a field of spans has in a block.
//!
//! A row group whose spans all start inside the time range has just the values that its dictionaries
//! list, and these are read without its rows. Elsewhere, at the ends of the range, in columns that
//! have no dictionary, and among attributes without a column of their own, rows are looked at.

mod dictionary;
mod scan;
mod set;

use std::ops::RangeInclusive;
use std::sync::Arc;

use parquet::arrow::async_reader::AsyncFileReader;
use parquet::schema::types::SchemaDescriptor;

use crate::block::MemoryBlock;
use crate::block::meta::{AttributeScope, BlockMeta};
use crate::block::read::file::BlockFile;
use crate::error::StorageError;
use crate::schema::names;

pub use set::{Value, ValueLimits, ValueSet};

/// Whose values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueSource {
    /// A column that every block has, by its name in [`names`]: of texts, integers, floats or
    /// booleans.
    Column(&'static str),
    /// The names of events.
    EventName,
    /// An attribute. Arrays stand for their elements.
    Attribute {
        /// Where it stands.
        scope: AttributeScope,
        /// Its key.
        key: String,
    },
}

/// Where in a block some of the values are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A column of single values.
    Column(String),
    EventName,
    /// Entries of the residual column of a scope, or of events or links.
    Entries(AttributeScope, String),
}

impl ValueSource {
    fn places(&self, meta: &BlockMeta) -> Vec<Place> {
        let (scope, key) = match self {
            Self::Column(name) => return vec![Place::Column((*name).to_owned())],
            Self::EventName => return vec![Place::EventName],
            Self::Attribute { scope, key } => (*scope, key),
        };
        let entries = || Place::Entries(scope, key.clone());
        let found = meta
            .attributes
            .binary_search_by(|a| (a.scope, a.key.as_str()).cmp(&(scope, key.as_str())));
        let Ok(at) = found else {
            // Only a key without a column can be missing from the list.
            return if meta.attributes_complete {
                Vec::new()
            } else {
                vec![entries()]
            };
        };
        let mut places = Vec::new();
        for of_type in &meta.attributes[at].types {
            let place = match &of_type.column {
                Some(column) => Place::Column(column.clone()),
                None => entries(),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

impl Place {
    /// The leaf columns to read.
    fn leaves(&self, schema: &SchemaDescriptor) -> Vec<usize> {
        let path: Vec<&str> = match self {
            Self::Column(name) => vec![name],
            Self::EventName => vec![names::EVENTS, "list", "item", names::EVENT_NAME],
            Self::Entries(scope, _) => match names::residual(*scope) {
                Some(column) => vec![column],
                None => vec![items(*scope), "list", "item", names::ITEM_ATTRIBUTES],
            },
        };
        let columns = schema.columns().iter().enumerate();
        let below = columns.filter(|(_, column)| {
            let parts = column.path().parts();
            parts.len() >= path.len() && parts.iter().zip(&path).all(|(part, want)| part == want)
        });
        below.map(|(leaf, _)| leaf).collect()
    }
}

/// The column of events or links.
const fn items(scope: AttributeScope) -> &'static str {
    match scope {
        AttributeScope::Link => names::LINKS,
        AttributeScope::Event
        | AttributeScope::Resource
        | AttributeScope::Instrumentation
        | AttributeScope::Span => names::EVENTS,
    }
}

/// The values that the spans of a stored block have whose start lies in a range, ns since the epoch.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_values(
    mut file: BlockFile,
    source: &ValueSource,
    starts: RangeInclusive<i64>,
    limits: ValueLimits,
) -> Result<ValueSet, StorageError> {
    let mut set = ValueSet::new(limits);
    let meta = Arc::clone(file.meta());
    let places = source.places(&meta);
    if places.is_empty() {
        return Ok(set);
    }
    let metadata = Arc::clone(file.footer().await?.metadata());
    let schema = metadata.file_metadata().schema_descr();
    let (mut dictionaries, mut scans) = (Vec::new(), Vec::new());
    for (index, row_group) in meta.row_groups.iter().enumerate() {
        let (first, last) = (row_group.min_start_ns, row_group.max_start_ns);
        if last < *starts.start() || first > *starts.end() {
            continue;
        }
        let is_inside = starts.contains(&first) && starts.contains(&last);
        for place in &places {
            let leaves = place.leaves(schema);
            let dictionary = match leaves.as_slice() {
                [leaf] if is_inside => dictionary::range(&metadata, index, *leaf),
                _ => None,
            };
            match (dictionary, leaves.first()) {
                (Some(range), Some(leaf)) => dictionaries.push((index, *leaf, range)),
                _ => scans.push((index, place, leaves, !is_inside)),
            }
        }
    }
    let object = file.path().to_string();
    let ranges = dictionaries.iter().map(|(_, _, range)| range.clone());
    let pages = file.get_byte_ranges(ranges.collect()).await;
    let pages = pages.map_err(|error| StorageError::from_parquet(&object, error))?;
    for ((row_group, leaf, range), bytes) in dictionaries.into_iter().zip(pages) {
        if set.is_full() {
            return Ok(set);
        }
        let column = metadata.row_group(row_group).column(leaf);
        dictionary::decode(column, range.start, bytes, &mut set)
            .map_err(|error| StorageError::from_parquet(&object, error))?;
    }
    for (row_group, place, leaves, is_edge) in scans {
        if set.is_full() {
            return Ok(set);
        }
        let wanted = is_edge.then(|| starts.clone());
        scan::row_group(file.clone(), row_group, place, leaves, wanted, &mut set).await?;
    }
    Ok(set)
}

/// The values that the spans of a block in memory have whose start lies in a range.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_values(
    block: &MemoryBlock,
    source: &ValueSource,
    starts: RangeInclusive<i64>,
    limits: ValueLimits,
) -> Result<ValueSet, StorageError> {
    let mut set = ValueSet::new(limits);
    let object = block.meta.block_id.to_string();
    for place in source.places(&block.meta) {
        for batch in &block.batches {
            if set.is_full() {
                return Ok(set);
            }
            scan::batch(batch, &place, Some(&starts), &object, &mut set)?;
        }
    }
    Ok(set)
}
