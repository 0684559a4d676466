//! Names and operators that random queries are made of.

/// Comparisons of numbers.
pub(super) const ORDERINGS: &[&str] = &["=", "!=", "<", "<=", ">", ">="];
/// Comparisons of texts.
pub(super) const EQUALITIES: &[&str] = &["=", "=", "!=", "<", ">="];
/// Durations around those of the spans.
pub(super) const DURATIONS: &[&str] = &["0s", "1ns", "1us", "1.5ms", "100ms", "1s", "90s"];
/// What is mostly a number.
pub(super) const NUMBERS: &[&str] = &[
    "span.i",
    "span.f",
    ".i",
    ".f",
    "resource.i",
    "span.mixed",
    ".mixed",
    "span.arr",
    ".duration",
    "instrumentation.i",
    "span:childCount",
];
/// What is mostly a text.
pub(super) const TEXTS: &[&str] = &[
    "span.s",
    ".s",
    "resource.s",
    "span.name",
    ".name",
    "span.größe",
    "span.\"a b\"",
    "span.mixed",
    "span.arr",
    "instrumentation.s",
    "statusMessage",
    "instrumentation:name",
    "rootName",
    "rootServiceName",
    ".service.name",
];
/// What may be absent and may be asked for it.
pub(super) const NULLABLE: &[&str] = &[
    "span.i",
    ".i",
    "resource.i",
    "span.arr",
    "span.mixed",
    ".mixed",
    ".service.name",
    "instrumentation.b",
    "event.i",
    "link.f",
    "span.i + 1",
];
/// What may be of any type.
pub(super) const ATTRIBUTES: &[&str] = &[
    "span.i",
    "span.f",
    "span.s",
    "span.b",
    "span.mixed",
    ".mixed",
    "resource.mixed",
    ".s",
    "resource.s",
    "instrumentation.mixed",
    "event.i",
];
/// Conditions that only the whole trace decides, and constants.
pub(super) const CONSTANTS_OF_TRACES: &[&str] = &[
    "nestedSetParent < 0",
    "nestedSetParent = -1",
    "nestedSetLeft = 0",
    "nestedSetLeft > 0",
    "span:childCount = 0",
    "span:childCount > 1",
    "span:parentID = \"0000000000000000\"",
    "span:id != \"0000000000000001\"",
    "trace:id =~ \"0?[1-9].*\"",
    "instrumentation:version = \"1.0\"",
    "nil = nil",
    "1 = 1",
];
/// What series are grouped by.
pub(super) const GROUPING: &[&str] = &[
    "name",
    "status",
    "kind",
    "resource.service.name",
    ".service.name",
    "span.i",
    "span.f",
    "span.s",
    "span.b",
    "span.mixed",
    ".mixed",
    "span.arr",
    "event:name",
    "event.i",
    "link:spanID",
    "duration",
    "rootName",
    "rootServiceName",
    "span:childCount",
    "instrumentation:name",
    "instrumentation.s",
    "resource.s",
    ".name",
    "span.\"a b\"",
    "statusMessage",
    "event:timeSinceStart",
    "span:id",
    "span:parentID",
];
/// What is aggregated; some of it is no number.
pub(super) const AGGREGATED: &[&str] = &[
    "duration",
    "duration",
    "span.i",
    "span.f",
    ".i",
    "resource.f",
    "span.mixed",
    ".mixed",
    "event.f",
    "span.arr",
    "trace:duration",
    "event:timeSinceStart",
    "span:childCount",
    "span.nan",
    ".duration",
    "name",
    "link.i",
];
