//! The way of one request: prepared, known or new, in the log, acknowledged.

use std::sync::Arc;

use storage::ids::TenantId;
use tokio::sync::oneshot;

use super::{Ingest, PushOutcome};
use crate::decompress::Encoding;
use crate::error::{AppendError, PushError};
use crate::prepare::{Format, Prepared, Received, Refused, prepare};
use crate::retries::Admission;
use crate::wal::Append;

/// Requests in protobuf up to this size are checked and packed where they arrive, which takes some 150 µs
/// at most if they are plain: handing them to another thread and back would cost a good part of that.
const INLINE_BYTES: usize = 128 << 10;
/// As [`INLINE_BYTES`], in JSON, which takes several times as long.
const INLINE_JSON_BYTES: usize = 16 << 10;

impl Ingest {
    /// Accepts a request as it came over a transport.
    pub(crate) async fn receive(
        &self,
        tenant: &TenantId,
        received: Received,
    ) -> Result<PushOutcome, PushError> {
        let result = self.accept(tenant, received).await;
        match &result {
            Ok(outcome) => {
                let requests = if outcome.duplicate {
                    "duplicate"
                } else if outcome.rejected > 0 {
                    "partial"
                } else {
                    "ok"
                };
                self.metrics.requests.with_label_values(&[requests]).inc();
                self.metrics.count_spans(
                    if outcome.duplicate {
                        "duplicate"
                    } else {
                        "stored"
                    },
                    outcome.accepted,
                );
                self.metrics.count_spans("rejected", outcome.rejected);
            }
            Err(Refused { error, spans }) => self.count_refused(error, *spans),
        }
        result.map_err(|refused| refused.error)
    }

    pub(super) fn count_refused(&self, error: &PushError, spans: u64) {
        self.metrics.requests.with_label_values(&["refused"]).inc();
        self.metrics
            .limit_hits
            .with_label_values(&[error.code()])
            .inc();
        self.metrics.count_spans("refused", spans);
    }

    async fn accept(&self, tenant: &TenantId, received: Received) -> Result<PushOutcome, Refused> {
        match self.readiness() {
            // A failed log may be writable again, and only writing can tell.
            Ok(())
            | Err(PushError::WalUnavailable | PushError::DiskFull | PushError::DiskLow { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let prepared = self.prepare(tenant, received).await?;
        let Prepared {
            spans,
            report,
            request_hash,
            packed,
            request_len,
            memory,
        } = prepared;
        let accepted = spans.span_count() as u64;
        for (code, count) in report.reasons() {
            self.metrics
                .limit_hits
                .with_label_values(&[code])
                .inc_by(count);
        }
        let mut outcome = PushOutcome {
            accepted,
            rejected: report.rejected(),
            duplicate: false,
            message: report.message(),
        };
        if accepted == 0 {
            return Ok(outcome);
        }
        let refused = |error| Refused {
            error,
            spans: accepted + outcome.rejected,
        };
        let appended = match self.retries.admit(request_hash) {
            Admission::Durable => {
                outcome.duplicate = true;
                return Ok(outcome);
            }
            Admission::InFlight(other) => {
                outcome.duplicate = true;
                other.await
            }
            Admission::New => {
                let (reply, wait) = oneshot::channel();
                let tenant = tenant.clone();
                let append = Append {
                    tenant,
                    request_hash,
                    packed,
                    request_len,
                    spans,
                    memory,
                    reply,
                };
                if let Err(error) = self.log.append(Box::new(append)) {
                    self.retries.complete(request_hash, &Err(error));
                    return Err(refused(self.push_error(error)));
                }
                wait.await
            }
        };
        match appended.unwrap_or(Err(AppendError::Unavailable)) {
            Ok(()) => {
                if !outcome.duplicate {
                    self.metrics.request_bytes.inc_by(u64::from(request_len));
                }
                Ok(outcome)
            }
            Err(error) => Err(refused(self.push_error(error))),
        }
    }

    async fn prepare(&self, tenant: &TenantId, received: Received) -> Result<Prepared, Refused> {
        let now_ns = u64::try_from(self.clock.now_ns()).unwrap_or(0);
        let longest = match received.format {
            Format::Protobuf => INLINE_BYTES,
            Format::Json => INLINE_JSON_BYTES,
        };
        if received.encoding == Encoding::Identity && received.body.len() <= longest {
            return prepare(tenant, received, &self.rules, now_ns);
        }
        let (rules, tenant) = (Arc::clone(&self.rules), tenant.clone());
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&tenant, received, &rules, now_ns));
        prepared.await.unwrap_or_else(|_| {
            self.metrics.panics.inc();
            Err(PushError::Internal.into())
        })
    }
}
