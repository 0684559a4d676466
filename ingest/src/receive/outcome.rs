//! The message that tells a sender what became of its spans, in both protocols.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};

use crate::ingest::PushOutcome;

/// The message that tells an outcome; nothing is said of what went well.
pub(super) fn response(outcome: PushOutcome) -> ExportTraceServiceResponse {
    let told = outcome.rejected > 0 || !outcome.message.is_empty();
    ExportTraceServiceResponse {
        partial_success: told.then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(outcome.rejected).unwrap_or(i64::MAX),
            error_message: outcome.message,
        }),
    }
}
