//! Whether a column of texts is worth a dictionary, by what the inputs have of it.

use arrow::array::Array as _;
use arrow::array::AsArray as _;
use arrow::datatypes::DataType;
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::known::attribute_column;
use crate::block::encoded::EncodedColumn;
use crate::block::{BlockFile, Promoted, mostly_distinct};
use crate::error::StorageError;

/// Whether most texts of a column occur but once, of `count` in all inputs.
///
/// Texts that an input has in a dictionary are counted once in all of the inputs; those that it has without one
/// are taken to be distinct. Dictionaries that are too short to make a difference are not looked into.
///
/// # Errors
/// If the store fails, or a block is damaged.
pub(super) async fn is_mostly_distinct(
    inputs: &mut [BlockFile],
    promoted: &Promoted,
    count: u64,
) -> Result<bool, StorageError> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut without = 0;
    let mut dictionaries = Vec::new();
    let mut dictionary_bytes = 0u64;
    for (input, file) in inputs.iter_mut().enumerate() {
        let meta = std::sync::Arc::clone(file.meta());
        let Some(column) = attribute_column(&meta, promoted) else {
            continue;
        };
        let object = file.path().to_string();
        let footer = file.footer().await?;
        let schema = footer.schema();
        let schema = schema.map_err(|error| StorageError::from_parquet(&object, error))?;
        let data_type = schema
            .field_with_name(column)
            .map(|field| field.data_type());
        let metadata = footer.metadata();
        let mut leaves = metadata.file_metadata().schema_descr().columns().iter();
        let Some(leaf) = leaves.position(|leaf| leaf.path().parts() == [column]) else {
            continue;
        };
        if data_type.is_ok_and(|data_type| *data_type == DataType::Utf8) {
            let of_type = |known: &crate::block::meta::AttributeMeta| {
                let mut types = known.types.iter();
                types
                    .find(|of_type| of_type.value_type == promoted.value_type)
                    .map(|it| it.count)
            };
            let known = meta
                .attribute(promoted.scope, &promoted.key)
                .and_then(of_type);
            without += usize::try_from(known.unwrap_or_default()).unwrap_or(usize::MAX);
            continue;
        }
        for (row_group, of_group) in metadata.row_groups().iter().enumerate() {
            let chunk = of_group.column(leaf);
            let first = chunk.dictionary_page_offset();
            let data = chunk.data_page_offset();
            let length = first.map_or(0, |first| data.saturating_sub(first));
            dictionary_bytes += u64::try_from(length).unwrap_or_default();
            dictionaries.push((input, row_group, leaf));
        }
    }
    if mostly_distinct(without, count) {
        return Ok(true);
    }
    // A compressed text takes half a byte or more.
    let bound = usize::try_from(dictionary_bytes.saturating_mul(2)).unwrap_or(usize::MAX);
    if !mostly_distinct(without.saturating_add(bound), count) {
        return Ok(false);
    }
    let mut distinct: HashSet<u64> = HashSet::new();
    for (input, row_group, leaf) in dictionaries {
        let Some(file) = inputs.get_mut(input) else {
            continue;
        };
        let opened = EncodedColumn::open(file, row_group, &[(leaf, DataType::Utf8)]).await?;
        for mut column in opened {
            column.seek(0)?;
            if let Some(texts) = column.values().as_string_opt::<i32>() {
                let places = (0..texts.len()).filter(|at| texts.is_valid(*at));
                distinct.extend(places.map(|at| xxh3_64(texts.value(at).as_bytes())));
            }
        }
        if mostly_distinct(without + distinct.len(), count) {
            return Ok(true);
        }
    }
    Ok(false)
}
