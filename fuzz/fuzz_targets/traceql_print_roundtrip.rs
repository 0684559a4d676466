//! Printing a query and parsing the text gives the query back, before and after folding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traceql::Dialect;

fuzz_target!(|text: &str| {
    for dialect in Dialect::ALL {
        let options = dialect.into();
        if let Ok(query) = traceql::parse_with(text, &options) {
            let printed = query.to_string();
            let again = traceql::parse_with(&printed, &options);
            assert_eq!(again.as_ref(), Ok(&query), "{printed}");
            assert_eq!(query.to_string(), printed);
        }
        if let Ok(query) = traceql::compile_with(text, &options) {
            let printed = query.to_string();
            assert_eq!(traceql::compile_with(&printed, &options), Ok(query), "{printed}");
        }
    }
});
