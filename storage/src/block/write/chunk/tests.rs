use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, UInt32Array,
};
use arrow::compute::concat;
use arrow::datatypes::{Field, Int32Type, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::ZstdLevel;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use super::value::{ColumnValue as _, Float};
use super::*;

fn column(array: &ArrayRef) -> ColumnDescPtr {
    let field = Field::new("c", array.data_type().clone(), array.null_count() > 0);
    let schema = ArrowSchemaConverter::new().convert(&Schema::new(vec![field]));
    schema.expect("a schema").column(0)
}

/// Two rows a page.
fn options() -> ChunkOptions {
    ChunkOptions {
        page_rows: 2,
        zstd: ZstdLevel::default(),
    }
}

/// Writes slices with a dictionary.
fn written(slices: &[ArrayRef]) -> Option<OwnChunk> {
    let column = column(&slices[0]);
    dictionary(slices, &column, options()).expect("a chunk")
}

/// What the library reads of a file with a chunk of these values.
fn read_back(values: &ArrayRef, chunk: OwnChunk) -> ArrayRef {
    let field = Field::new("c", values.data_type().clone(), values.null_count() > 0);
    let schema = ArrowSchemaConverter::new().convert(&Schema::new(vec![field]));
    let schema = schema.expect("a schema").root_schema_ptr();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a file");
    let mut row_group = file.next_row_group().expect("a row group");
    let appended = row_group.append_column(&chunk.bytes, chunk.close);
    appended.expect("a column");
    row_group.close().expect("a whole row group");
    let bytes = Bytes::from(file.into_inner().expect("a whole file"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a readable file");
    let batches: Result<Vec<RecordBatch>, _> = reader.build().expect("a reader").collect();
    let batches = batches.expect("readable pages");
    let columns: Vec<_> = batches.iter().map(|batch| &**batch.column(0)).collect();
    concat(&columns).expect("one type")
}

fn texts_of(values: &[Option<&str>]) -> ArrayRef {
    let array: arrow::array::DictionaryArray<Int32Type> = values.iter().copied().collect();
    Arc::new(array)
}

#[test]
fn pages_say_what_is_in_them() {
    let first = texts_of(&[Some("b"), None, None]);
    let second = texts_of(&[None, Some("a"), Some("c"), Some("b")]);
    let chunk = written(&[first, second]).expect("coded");
    let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = chunk.close.column_index else {
        unreachable!("an index of texts");
    };
    let bounds: Vec<_> = (0..4)
        .map(|page| (index.min_value(page), index.max_value(page)))
        .collect();
    let is = |text: &'static str| Some(text.as_bytes());
    assert_eq!(
        bounds,
        [
            (is("b"), is("b")),
            (None, None),
            (is("a"), is("c")),
            (is("b"), is("b")),
        ]
    );
    let nulls: Vec<_> = (0..4).map(|page| index.null_count(page)).collect();
    assert_eq!(nulls, [Some(1), Some(2), Some(0), Some(0)]);
    let statistics = chunk.close.metadata.statistics().expect("statistics");
    assert_eq!(statistics.null_count_opt(), Some(3));
    assert_eq!(statistics.min_bytes_opt(), is("a"));
    assert_eq!(statistics.max_bytes_opt(), is("c"));
    let rows = chunk.close.offset_index.expect("an index").page_locations;
    let first_rows: Vec<_> = rows.iter().map(|page| page.first_row_index).collect();
    assert_eq!(first_rows, [0, 2, 4, 6]);
}

#[test]
fn numbers_keep_their_order() {
    let array: ArrayRef = Arc::new(UInt32Array::from(vec![u32::MAX, 0, 7, 8]));
    let chunk = written(&[array]).expect("coded");
    let Some(ColumnIndexMetaData::INT32(index)) = chunk.close.column_index else {
        unreachable!("an index of integers");
    };
    assert_eq!(
        (index.min_value(0), index.max_value(0)),
        (Some(&0), Some(&-1))
    );
    let array: ArrayRef = Arc::new(Int64Array::from(vec![3, i64::MIN, i64::MAX]));
    let chunk = written(&[array]).expect("coded");
    let statistics = chunk.close.metadata.statistics().expect("statistics");
    assert_eq!(
        statistics.min_bytes_opt(),
        Some(&i64::MIN.to_le_bytes()[..])
    );
    let mut floats = [f64::INFINITY, 0.5, -0.5, 1e-310, f64::NEG_INFINITY, -2.0];
    floats.sort_by_key(|float| Float(*float).key());
    assert!(floats.is_sorted());
}

#[test]
fn what_is_no_number_has_no_bounds() {
    let array: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, -0.0, 0.0]));
    let chunk = written(&[array]).expect("coded");
    let Some(ColumnIndexMetaData::DOUBLE(index)) = chunk.close.column_index else {
        unreachable!("an index of doubles");
    };
    let bounds = |page| {
        (
            index.min_value(page).copied(),
            index.max_value(page).copied(),
        )
    };
    assert_eq!(bounds(0), (Some(1.0), Some(1.0)));
    let (min, max) = bounds(1);
    assert!(min.is_some_and(|zero| zero.is_sign_negative()));
    assert!(max.is_some_and(|zero| zero.is_sign_positive()));
    // A page without a number leaves the column without an index.
    let array: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::NAN, 1.0]));
    assert!(
        written(&[array])
            .expect("coded")
            .close
            .column_index
            .is_none()
    );
}

#[test]
fn long_texts_are_bounded_by_short_ones() {
    let texts = [
        "",
        "short",
        &"x".repeat(64),
        &"x".repeat(65),
        &"\u{10ffff}".repeat(20),
        &"\u{d7ff}".repeat(40),
        &format!("{}\u{7f}\u{7f}", "a".repeat(63)),
        &format!("{}é", "a".repeat(63)),
    ];
    for text in texts {
        let (lower, lower_is_exact) = text.lower();
        let (upper, upper_is_exact) = text.upper();
        assert!(lower.data() <= text.as_bytes() && text.as_bytes() <= upper.data());
        assert!(lower.len() <= STATISTICS_BYTES);
        assert_eq!(lower_is_exact, lower.data() == text.as_bytes());
        assert_eq!(upper_is_exact, upper.data() == text.as_bytes());
        assert!(std::str::from_utf8(lower.data()).is_ok());
        assert!(std::str::from_utf8(upper.data()).is_ok());
    }
    assert_eq!("x".repeat(65).as_str().upper().0.len(), STATISTICS_BYTES);
}

#[test]
fn a_dictionary_is_for_what_repeats() {
    let distinct: ArrayRef = Arc::new(Int64Array::from_iter_values(0..5_000));
    assert!(written(&[distinct]).is_none());
    let repeated: ArrayRef = Arc::new(Int64Array::from_iter_values((0..5_000).map(|v| v / 5)));
    assert!(written(&[repeated]).is_some());
    let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
    assert!(written(&[nothing]).is_none());
    let truths: ArrayRef = Arc::new(arrow::array::BooleanArray::from(vec![true, false]));
    assert!(written(&[truths]).is_none());
}

#[test]
fn byte_planes_are_read_by_others() {
    let some = |value: i64| (value % 3 != 0).then_some(value * 1_000_003);
    let longs: ArrayRef = Arc::new(Int64Array::from_iter_values(
        [i64::MIN, i64::MAX, 0, -1].into_iter().chain(1..5_000),
    ));
    let nullable: ArrayRef = Arc::new((0..101).map(some).collect::<Int64Array>());
    let sparse: ArrayRef = Arc::new(Int64Array::from(vec![None, None, None, Some(7), None]));
    let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None, None, None]));
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.5, f64::NAN, -0.0, 1e300]));
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![-1, i32::MIN, 7]));
    for values in [longs, nullable, sparse, nothing, doubles, ints] {
        for page_rows in [1, 2, 1000] {
            let options = ChunkOptions {
                page_rows,
                ..options()
            };
            let cut = values.len() / 2;
            let slices = [values.slice(0, cut), values.slice(cut, values.len() - cut)];
            let chunk = byte_planes(&slices, &column(&values), options).expect("a chunk");
            let read = read_back(&values, chunk.expect("of numbers"));
            // NaN is equal to itself here.
            assert_eq!(read.to_data(), values.to_data());
        }
    }
    let texts = texts_of(&[Some("a")]);
    let none = byte_planes(std::slice::from_ref(&texts), &column(&texts), options());
    assert!(none.expect("no error").is_none());
}

#[test]
fn pages_of_byte_planes_say_what_is_in_them() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![
        Some(5),
        Some(-2),
        None,
        None,
        Some(9),
    ]));
    let chunk = byte_planes(std::slice::from_ref(&values), &column(&values), options());
    let close = chunk.expect("a chunk").expect("of numbers").close;
    let Some(ColumnIndexMetaData::INT64(index)) = close.column_index else {
        unreachable!("an index of integers");
    };
    let bounds = |page| (index.min_value(page), index.max_value(page));
    assert_eq!(bounds(0), (Some(&-2), Some(&5)));
    assert_eq!(bounds(1), (None, None));
    assert_eq!(bounds(2), (Some(&9), Some(&9)));
    let statistics = close.metadata.statistics().expect("statistics");
    assert_eq!(statistics.null_count_opt(), Some(2));
    assert_eq!(statistics.max_bytes_opt(), Some(&9_i64.to_le_bytes()[..]));
}

#[test]
fn noise_beside_order_takes_no_more_than_itself() {
    // Three bytes of noise and five that hardly change.
    let noise = |row: u64| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let numbers = (0..20_000).map(|row| noise(row).cast_signed() | 7 << 24);
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    let options = ChunkOptions {
        page_rows: 20_000,
        ..options()
    };
    let chunk = byte_planes(std::slice::from_ref(&values), &column(&values), options);
    let chunk = chunk.expect("a chunk").expect("of numbers");
    assert!(chunk.bytes.len() < 60_500, "{}", chunk.bytes.len());
}
