//! No text makes the TraceQL compiler panic, and every refusal can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = traceql::compile(text) {
        assert_eq!(error.verdict(), traceql::verdict(text));
        assert!(!error.to_string().contains('\n'), "{error}");
        let range = error.diagnostic().range;
        assert!(range.start <= range.end && range.end <= text.len(), "{range:?}");
        assert!(error.render(text).contains('^'));
    }
});
