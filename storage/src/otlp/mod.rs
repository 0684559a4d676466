//! OTLP messages to the model and back.
//!
//! Decoding moves what it can, keeps every field, and turns away single spans only: one bad span
//! never costs its neighbours. Two things of the protocol have no meaning in trace data and are not
//! kept: the difference between a value message that is absent and one that is empty, and string
//! table indexes, which belong to profiles and read as empty values here.

mod decode;
mod delimited;
mod encode;
mod keys;
mod plain;
mod rejection;
mod sampling;
pub(crate) mod wire;

pub use decode::{Decoded, from_request, value_from_bytes};
pub(crate) use decode::{resource_from_bytes, scope_from_bytes, span_from_bytes};
pub use delimited::{Delimited, MAX_MESSAGE_BYTES, read_delimited, read_delimited_plain};
pub use encode::to_resource_spans;
pub(crate) use encode::{group_len, span_len, value_to_bytes};
pub use keys::KeyInterner;
pub use plain::{PlainBounds, PlainRequest};
pub use rejection::{Rejection, RejectionReason};
pub use sampling::adjusted_count;
