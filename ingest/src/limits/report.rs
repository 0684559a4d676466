//! What happened to the spans of a request, as its sender is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use storage::otlp::{Rejection, RejectionReason};

/// What happened to the spans of a request.
#[derive(Debug, Default)]
pub(crate) struct LimitReport {
    /// Spans turned away, by reason: how many, and the name of the first.
    rejected: BTreeMap<&'static str, (u64, String)>,
    /// Keys and values of attributes that were cut.
    pub(super) truncated: u64,
    /// Attributes, events and links that were dropped.
    pub(super) dropped: u64,
}

impl LimitReport {
    /// Spans turned away, for all reasons together.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.values().map(|(count, _)| count).sum()
    }

    /// The reasons for which spans were turned away, and how many each.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.rejected
            .iter()
            .map(|(code, (count, _))| (*code, *count))
    }

    /// Counts a span that was turned away.
    pub(crate) fn reject(&mut self, code: &'static str, span_name: &str) {
        let (count, _) = self
            .rejected
            .entry(code)
            .or_insert_with(|| (0, span_name.chars().take(64).collect()));
        *count += 1;
    }

    /// Counts spans whose ids, times or values are invalid.
    pub(crate) fn add(&mut self, rejections: &[Rejection]) {
        for rejection in rejections {
            let code = match rejection.reason {
                RejectionReason::TimeOutOfRange => "err-time-range",
                RejectionReason::ValueTooDeep => "err-value-too-deep",
                _ => "err-invalid-id",
            };
            self.reject(code, &rejection.span_name);
        }
    }

    /// What to tell the sender; empty if all is well.
    pub(crate) fn message(&self) -> String {
        let mut message = String::new();
        let mut part = |text: std::fmt::Arguments<'_>| {
            if !message.is_empty() {
                message.push_str("; ");
            }
            // Writing to a string cannot fail.
            let _ = message.write_fmt(text);
        };
        for (code, (count, example)) in &self.rejected {
            part(format_args!(
                "{code}: {count} spans rejected, first {example:?}"
            ));
        }
        if self.truncated > 0 {
            part(format_args!(
                "err-attr-truncated: {} attribute keys or values cut",
                self.truncated
            ));
        }
        if self.dropped > 0 {
            part(format_args!(
                "err-attr-dropped: {} attributes, events or links dropped",
                self.dropped
            ));
        }
        message
    }
}
