//! The process log: one escaped line per event, on standard error.

use std::fmt::{self, Write as _};
use std::io;

use serde_json::{Map, Value};
use storage::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::times;

/// Longest value in a line; what comes from outside can be of any length.
const MAX_VALUE_CHARS: usize = 4096;

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=… msg="…" key=value`.
    Logfmt,
    /// One JSON object.
    Json,
}

/// Starts logging. `RUST_LOG` wins over `level`. A second call has no effect.
pub fn start(level: &str, format: LogFormat) {
    // Other people's crates are heard from when something is wrong.
    let ours = [
        "server", "ingest", "frontend", "engine", "storage", "traceql",
    ];
    let directives = ours.map(|name| format!("{name}={level}")).join(",");
    let default = if matches!(level, "debug" | "trace") {
        format!("info,{directives}")
    } else {
        format!("warn,{directives}")
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .event_format(Lines(format))
        .finish();
    let _already_started = tracing::subscriber::set_global_default(subscriber);
}

struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        fields.put("ts", times::format(SystemClock.now_ns()));
        fields.put(
            "level",
            event.metadata().level().as_str().to_ascii_lowercase(),
        );
        fields.put("target", event.metadata().target().to_owned());
        event.record(&mut fields);
        match self.0 {
            LogFormat::Json => writeln!(writer, "{}", Value::Object(fields.0)),
            LogFormat::Logfmt => writeln!(writer, "{}", logfmt(&fields.0)),
        }
    }
}

/// The fields of an event, in order, the message as `msg`.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        let name = if name == "message" { "msg" } else { name };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _infallible = write!(text, "{value:?}");
        self.record_str(field, &text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let cut = value
            .char_indices()
            .nth(MAX_VALUE_CHARS)
            .map_or(value, |(at, _)| &value[..at]);
        self.put(field.name(), cut);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}

/// Fields as `name=value`; what could be read as another field or another line is quoted and escaped.
fn logfmt(fields: &Map<String, Value>) -> String {
    let mut line = String::new();
    for (name, value) in fields {
        if !line.is_empty() {
            line.push(' ');
        }
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let plain = !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_graphic() && !"\"=\\".contains(c));
        let _infallible = if plain {
            write!(line, "{name}={text}")
        } else {
            write!(line, "{name}={text:?}")
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_forge_lines_or_fields() {
        let mut fields = Fields::default();
        fields.put("message", "done\nlevel=error");
        fields.put("tenant", "a b=\"c\" \u{1b}[31m");
        fields.put("count", 5);
        assert_eq!(
            logfmt(&fields.0),
            r#"msg="done\nlevel=error" tenant="a b=\"c\" \u{1b}[31m" count=5"#
        );
    }
}
