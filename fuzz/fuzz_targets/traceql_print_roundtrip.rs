//! Printing a query and parsing the text gives the query back, before and after folding.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(query) = traceql::parse(text) {
        let printed = query.to_string();
        let again = traceql::parse(&printed);
        assert_eq!(again.as_ref(), Ok(&query), "{printed}");
        assert_eq!(query.to_string(), printed);
    }
    if let Ok(query) = traceql::compile(text) {
        let printed = query.to_string();
        assert_eq!(traceql::compile(&printed), Ok(query), "{printed}");
    }
});
