//! The description of an encoded block.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use hashbrown::HashMap;

use super::attributes::KeyCounts;
use super::collected::Collected;
use super::options::EncodeOptions;
use super::promote::Promoted;
use super::rows::Rows;
use crate::block::meta::{
    AttributeMeta, AttributeScope, AttributeTypeMeta, BlockMeta, ColumnMeta, FORMAT_VERSION,
    RowGroupMeta, ValueType,
};

/// Most attribute keys named in a description.
const MAX_ATTRIBUTES: usize = 10_000;
/// Most services named in a description.
pub(crate) const MAX_SERVICES: usize = 4_096;

pub(super) fn describe(
    rows: &Rows,
    collected: &Collected<'_>,
    promoted: &[Promoted],
    schema: &Schema,
    options: &EncodeOptions,
) -> BlockMeta {
    let starts = || rows.rows.iter().map(|row| row.start_ns);
    let ends = rows.rows.iter().map(|row| row.end_ns);
    let (min_start_ns, max_start_ns) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
    let row_count = rows.rows.len() as u64;
    let (attributes, attributes_complete) = attributes(collected.counts(), promoted);
    BlockMeta {
        format_version: FORMAT_VERSION,
        block_id: options.block_id,
        tenant: options.tenant.clone(),
        row_count,
        trace_count: rows.traces.len() as u64,
        min_start_ns,
        max_start_ns,
        max_end_ns: ends.max().unwrap_or(0),
        file: None,
        row_groups: vec![RowGroupMeta {
            row_count,
            min_start_ns,
            max_start_ns,
        }],
        columns: schema
            .fields()
            .iter()
            .map(|field| ColumnMeta {
                name: field.name().as_str().into(),
                compressed_bytes: 0,
            })
            .collect(),
        attributes,
        attributes_complete,
        services: services(rows),
        trace_id_filter: None,
        made_of: Vec::new(),
        partition: None,
    }
}

fn services(rows: &Rows) -> Option<Vec<Arc<str>>> {
    let names = rows
        .resources
        .iter()
        .map(|resource| resource.service_name().unwrap_or_default());
    let names: BTreeSet<&str> = names.collect();
    (names.len() <= MAX_SERVICES).then(|| names.into_iter().map(Arc::from).collect())
}

/// What keys occur, and whether that is all of them. Past the limit rare keys go first, but never
/// one that has a column.
pub(crate) fn attributes<'a>(
    keys: impl IntoIterator<Item = KeyCounts<'a>>,
    promoted: &[Promoted],
) -> (Vec<AttributeMeta>, bool) {
    let columns: HashMap<(AttributeScope, &str, ValueType), &str> = promoted
        .iter()
        .map(|p| ((p.scope, p.key.as_str(), p.value_type), p.column.as_str()))
        .collect();
    let mut all: Vec<(AttributeMeta, u64)> = Vec::new();
    for key in keys {
        let of_type = |(value_type, count)| AttributeTypeMeta {
            value_type,
            column: columns
                .get(&(key.scope, key.key, value_type))
                .map(|c| Arc::from(*c)),
            count,
        };
        let types: Vec<_> = key.types().into_iter().map(of_type).collect();
        let has_column = types.iter().any(|of_type| of_type.column.is_some());
        let rank = if has_column { u64::MAX } else { key.total() };
        let meta = AttributeMeta {
            scope: key.scope,
            key: key.key.into(),
            types,
        };
        all.push((meta, rank));
    }
    add_service_name(&mut all, promoted);
    let complete = all.len() <= MAX_ATTRIBUTES;
    if !complete {
        all.sort_by(|(a, rank_a), (b, rank_b)| {
            rank_b
                .cmp(rank_a)
                .then_with(|| (a.scope, &a.key).cmp(&(b.scope, &b.key)))
        });
        all.truncate(MAX_ATTRIBUTES);
    }
    all.sort_by(|(a, _), (b, _)| (a.scope, &a.key).cmp(&(b.scope, &b.key)));
    (all.into_iter().map(|(meta, _)| meta).collect(), complete)
}

/// The column of `service.name` is there, and so is named, even where no value is.
fn add_service_name(all: &mut Vec<(AttributeMeta, u64)>, promoted: &[Promoted]) {
    let service = |p: &&Promoted| {
        p.scope == AttributeScope::Resource
            && p.key == "service.name"
            && p.value_type == ValueType::String
    };
    let Some(service) = promoted.iter().find(service) else {
        return;
    };
    let at = all
        .iter()
        .position(|(meta, _)| meta.scope == AttributeScope::Resource && *meta.key == *service.key);
    let none = AttributeTypeMeta {
        value_type: ValueType::String,
        column: Some(service.column.as_str().into()),
        count: 0,
    };
    match at {
        Some(at) => {
            let types = &mut all[at].0.types;
            if !types
                .iter()
                .any(|of_type| of_type.value_type == ValueType::String)
            {
                types.push(none);
            }
            all[at].1 = u64::MAX;
        }
        None => {
            let meta = AttributeMeta {
                scope: AttributeScope::Resource,
                key: service.key.as_str().into(),
                types: vec![none],
            };
            all.push((meta, u64::MAX));
        }
    }
}
