//! Which attributes get a column of their own, and what the columns are called.

use std::cmp::Reverse;

use hashbrown::{HashMap, HashSet};

use super::attributes::{KeyCounts, SCALARS};
use crate::block::meta::{AttributeScope, ValueType};
use crate::schema::names;

/// Most attribute columns of one block.
const MAX_COLUMNS: usize = 200;
/// A value on fewer rows than one in this many stays in the residual.
const ROWS_PER_VALUE: u64 = 200;
/// Longest key that gets a column; column names are repeated in every footer.
const MAX_KEY_BYTES: usize = 256;
/// The key that always has a text column.
const SERVICE_NAME: &str = "service.name";

/// An attribute column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promoted {
    pub(crate) scope: AttributeScope,
    pub(crate) key: String,
    pub(crate) value_type: ValueType,
    pub(crate) column: String,
}

struct Candidate<'a> {
    scope: AttributeScope,
    key: &'a str,
    value_type: ValueType,
    count: u64,
}

/// Chooses columns: resource keys before scope keys before span keys, frequent before rare, until
/// the budget is spent. The result is in order of scope, key and type, and depends on nothing else
/// than what occurs how often.
pub(crate) fn promote<'a>(
    keys: impl IntoIterator<Item = KeyCounts<'a>>,
    row_count: u64,
) -> Vec<Promoted> {
    let mut candidates: Vec<Candidate<'_>> = keys
        .into_iter()
        .filter(|key| names::residual(key.scope).is_some())
        .flat_map(|key| {
            SCALARS.into_iter().map(move |value_type| Candidate {
                scope: key.scope,
                key: key.key,
                value_type,
                count: key.count(value_type),
            })
        })
        .filter(|candidate| !is_service_name(candidate))
        .filter(|candidate| {
            candidate.count > 0
                && candidate.count.saturating_mul(ROWS_PER_VALUE) >= row_count
                && candidate.key.len() <= MAX_KEY_BYTES
                && !candidate.key.chars().any(char::is_control)
        })
        .collect();
    candidates.sort_by_key(|c| (c.scope, Reverse(c.count), c.key, c.value_type));
    candidates.truncate(MAX_COLUMNS - 1);
    candidates.push(Candidate {
        scope: AttributeScope::Resource,
        key: SERVICE_NAME,
        value_type: ValueType::String,
        count: u64::MAX,
    });
    name(candidates)
}

fn is_service_name(candidate: &Candidate<'_>) -> bool {
    candidate.scope == AttributeScope::Resource
        && candidate.key == SERVICE_NAME
        && candidate.value_type == ValueType::String
}

/// The most frequent type of a key has the plain name, others a suffix. Names differ in more than
/// case, because some readers ignore case.
fn name(mut candidates: Vec<Candidate<'_>>) -> Vec<Promoted> {
    candidates.sort_by_key(|c| (c.scope, c.key, Reverse(c.count), c.value_type));
    let mut named = HashSet::new();
    let mut taken: HashSet<String> = HashSet::new();
    let mut names: HashMap<usize, String> = HashMap::new();
    let mut plain = Vec::with_capacity(candidates.len());
    for candidate in &candidates {
        plain.push(named.insert((candidate.scope, candidate.key)));
    }
    // Plain names first, so that no suffixed name takes one from a key that is spelled like it.
    for first in [true, false] {
        for (index, candidate) in candidates
            .iter()
            .enumerate()
            .filter(|(i, _)| plain[*i] == first)
        {
            let base = column_name(candidate, first);
            let mut unique = base.clone();
            let mut number = 2;
            while !taken.insert(unique.to_ascii_lowercase()) {
                unique = format!("{base}~{number}");
                number += 1;
            }
            names.insert(index, unique);
        }
    }
    let mut promoted: Vec<Promoted> = candidates
        .iter()
        .enumerate()
        .map(|(index, candidate)| Promoted {
            scope: candidate.scope,
            key: candidate.key.to_owned(),
            value_type: candidate.value_type,
            column: names.remove(&index).unwrap_or_default(),
        })
        .collect();
    promoted.sort_by(|a, b| (a.scope, &a.key, a.value_type).cmp(&(b.scope, &b.key, b.value_type)));
    promoted
}

fn column_name(candidate: &Candidate<'_>, plain: bool) -> String {
    let scope = match candidate.scope {
        AttributeScope::Resource => "resource",
        AttributeScope::Instrumentation => "instrumentation",
        AttributeScope::Span => "span",
        AttributeScope::Event => "event",
        AttributeScope::Link => "link",
    };
    let suffix = match candidate.value_type {
        _ if plain => "",
        ValueType::Int => ":int",
        ValueType::Double => ":double",
        ValueType::Bool => ":bool",
        ValueType::String
        | ValueType::StringArray
        | ValueType::IntArray
        | ValueType::DoubleArray
        | ValueType::BoolArray
        | ValueType::Other => ":string",
    };
    format!("{scope}.{}{suffix}", candidate.key)
}
