//! Spans read from the bytes of a request are those that decoding it gives, whatever the bytes are.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use storage::block::{EncodeOptions, encode, encode_requests};
use storage::ids::{BlockId, TenantId};
use storage::otlp::{PlainRequest, from_request};
use storage::schema::names;

fuzz_target!(|bytes: &[u8]| {
    let read = PlainRequest::read(Bytes::copy_from_slice(bytes));
    let message = ExportTraceServiceRequest::decode(bytes);
    let (Ok((plain, rejected)), Ok(message)) = (&read, &message) else {
        assert!(read.is_err() && message.is_err(), "{read:?} {message:?}");
        return;
    };
    let decoded = from_request(message.clone());
    assert_eq!(rejected, &decoded.rejected);
    assert_eq!(plain.span_count(), decoded.span_count());
    if plain.span_count() > 0 {
        let options = EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid::nil()));
        let expected = encode(&decoded.groups, &options).expect("a block");
        let block = encode_requests([plain], 0, &options).expect("a block");
        assert_eq!(block.meta, expected.meta);
        // Only what came in a message has a length.
        let mut batches = [block.batches, expected.batches];
        for batch in batches.iter_mut().flatten() {
            let length = batch.schema().index_of(names::RECEIVED_BYTES);
            batch.remove_column(length.expect("a column of lengths"));
        }
        assert_eq!(batches[0], batches[1]);
    }
});
