//! Words that are reserved.

use super::function::{METRICS_FUNCTIONS, STAGE_FUNCTIONS};
use crate::ast::Intrinsic;

/// Words with a meaning of their own that are neither functions nor intrinsics.
const OTHER_KEYWORDS: [&str; 20] = [
    "true",
    "false",
    "nil",
    "ok",
    "error",
    "unset",
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
    "rootService",
    "childCount",
    "id",
    "traceID",
    "spanID",
    "parentID",
    "timeSinceStart",
    "version",
];

/// Whether the word is reserved, so that it cannot name a hint.
pub(crate) fn is_keyword(word: &str) -> bool {
    word == "with"
        || METRICS_FUNCTIONS.contains(&word)
        || STAGE_FUNCTIONS.contains(&word)
        || OTHER_KEYWORDS.contains(&word)
        || Intrinsic::from_bare(word).is_some()
}

/// Words that may stand where a value is expected, for suggestions.
pub(crate) fn value_words() -> impl Iterator<Item = &'static str> {
    let bare = Intrinsic::ALL
        .into_iter()
        .map(Intrinsic::canonical)
        .filter(|name| !name.contains(':'));
    OTHER_KEYWORDS
        .into_iter()
        .take(12)
        .chain(["minInt", "maxInt"])
        .chain(bare)
}
