//! How each column is encoded and compressed on disk.
//!
//! Chosen by measurement; the figures are in `docs/format/block-v1.md`.

use arrow::datatypes::{DataType, Field, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::block::write::chunk::STATISTICS_BYTES;
use crate::schema::names;

/// Dictionaries may grow to this before the writer gives up on them; far above the default, because
/// a long dictionary that many rows share is still the shortest form.
const DICTIONARY_BYTES: usize = 16 << 20;

/// How one leaf column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Dictionary, compressed. Falls back to plain values where the dictionary grows too long.
    Dictionary,
    /// Dictionary as the library writes it: short runs are runs, and codes as narrow as can be. Where
    /// neighbours are mostly equal that decodes faster, and takes no more.
    ShortRuns,
    /// Random bytes: neither encoding nor compression gains anything.
    Random,
    /// As they are, compressed: long runs of equal wide values.
    Plain,
    /// Differences of neighbours, bit-packed, then compressed.
    Delta,
    /// Byte planes, then compressed: the high bytes hardly change.
    ByteStreamSplit,
}

/// Applies the choices for all columns of a schema.
pub(crate) fn apply(
    properties: WriterPropertiesBuilder,
    schema: &Schema,
    zstd: ZstdLevel,
) -> WriterPropertiesBuilder {
    let mut properties = properties
        .set_compression(Compression::ZSTD(zstd))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES));
    for field in schema.fields() {
        for path in leaves(field) {
            properties = apply_form(properties, form(field, &path), field.data_type(), path);
        }
    }
    properties
}

/// Whether a column is dictionary-coded where its values repeat.
pub(crate) fn is_coded(field: &Field) -> bool {
    let path = ColumnPath::new(vec![field.name().clone()]);
    matches!(form(field, &path), Form::Dictionary)
}

/// Whether a column's numbers are written as byte planes, where they are not dictionary-coded.
pub(crate) fn is_split(field: &Field) -> bool {
    let path = ColumnPath::new(vec![field.name().clone()]);
    is_number(field.data_type())
        && matches!(form(field, &path), Form::Dictionary | Form::ByteStreamSplit)
}

fn form(field: &Field, path: &ColumnPath) -> Form {
    match field.name().as_str() {
        names::TRACE_ID | names::TRACE_DURATION => Form::Plain,
        names::SPAN_ID | names::PARENT_ID => Form::Random,
        names::START_NS | names::DURATION => Form::ByteStreamSplit,
        names::START_S => Form::ShortRuns,
        names::EVENTS | names::LINKS => match path.parts().last().map(String::as_str) {
            Some(names::LINK_SPAN_ID | names::LINK_TRACE_ID) => Form::Random,
            Some(names::EVENT_TIME_NS) => Form::Delta,
            _ => Form::Dictionary,
        },
        _ => Form::Dictionary,
    }
}

fn apply_form(
    properties: WriterPropertiesBuilder,
    form: Form,
    data_type: &DataType,
    path: ColumnPath,
) -> WriterPropertiesBuilder {
    let plain = |properties: WriterPropertiesBuilder, encoding| {
        properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), encoding)
    };
    match form {
        // These are not written here but where their values hardly repeat.
        Form::Dictionary if is_number(data_type) => plain(properties, Encoding::BYTE_STREAM_SPLIT),
        Form::Dictionary | Form::ShortRuns => properties,
        Form::Random => plain(properties, Encoding::PLAIN)
            .set_column_compression(path, Compression::UNCOMPRESSED),
        Form::Plain => plain(properties, Encoding::PLAIN),
        Form::Delta => plain(properties, Encoding::DELTA_BINARY_PACKED),
        Form::ByteStreamSplit => plain(properties, Encoding::BYTE_STREAM_SPLIT),
    }
}

fn is_number(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32 | DataType::UInt32 | DataType::Int64 | DataType::Float64
    )
}

/// Parquet paths of the leaf columns below a field.
fn leaves(field: &Field) -> Vec<ColumnPath> {
    fn walk(field: &Field, at: Vec<String>, out: &mut Vec<ColumnPath>) {
        match field.data_type() {
            DataType::List(item) => {
                let mut at = at;
                at.extend(["list".to_owned(), item.name().clone()]);
                walk(item, at, out);
            }
            DataType::Struct(fields) => {
                for child in fields {
                    let mut at = at.clone();
                    at.push(child.name().clone());
                    walk(child, at, out);
                }
            }
            _ => out.push(ColumnPath::new(at)),
        }
    }
    let mut out = Vec::new();
    walk(field, vec![field.name().clone()], &mut out);
    out
}
