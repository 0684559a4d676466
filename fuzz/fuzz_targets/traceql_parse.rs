//! No text makes the TraceQL compiler panic, and every refusal can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceql::Dialect;

fuzz_target!(|text: &str| {
    for dialect in Dialect::ALL {
        let options = dialect.into();
        match traceql::compile_with(text, &options) {
            Ok(query) => {
                for notice in traceql::notices(&query) {
                    assert!(text.get(notice.range.start..notice.range.end).is_some());
                }
            }
            Err(error) => {
                assert_eq!(error.verdict(), traceql::verdict_with(text, &options));
                assert!(!error.to_string().contains('\n'), "{error}");
                let range = error.diagnostic().range;
                assert!(range.start <= range.end && range.end <= text.len(), "{range:?}");
                assert!(error.render(text).contains('^'));
            }
        }
    }
});
