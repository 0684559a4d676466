//! The process log: one escaped line per event, on standard error.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry};

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `ts=… level=… target=… message="…" key=value`.
    Logfmt,
    /// One JSON object with `timestamp`, `level`, `target`, `message` and the other fields beside them.
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
    let subscriber = subscriber(filter, format, io::stderr);
    let _already_started = tracing::subscriber::set_global_default(subscriber);
}

/// What writes the events that pass a filter, a line each.
fn subscriber<W>(filter: EnvFilter, format: LogFormat, writer: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = match format {
        LogFormat::Logfmt => tracing_logfmt::builder()
            .with_span_name(false)
            .with_span_path(false)
            .layer()
            .with_writer(writer)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    Registry::default().with(filter).with(lines)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the log says of an event whose values look like a second line and like other fields.
    fn line(format: LogFormat) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(EnvFilter::new("info"), format, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(
                tenant = "a b=\"c\" \u{1b}[31m",
                count = 5,
                "done\nlevel=error"
            );
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn values_cannot_forge_lines_or_fields_of_logfmt() {
        let line = line(LogFormat::Logfmt);
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.starts_with("ts=20") && time.ends_with('Z'), "{time}");
        assert_eq!(
            rest,
            "level=error target=server::telemetry::tests message=\"done\\nlevel=error\" \
             tenant=\"a b=\\\"c\\\" \\u{1b}[31m\" count=5\n"
        );
    }

    #[test]
    fn an_event_is_one_flat_object_in_json() {
        let line = line(LogFormat::Json);
        let text = line.strip_suffix('\n').unwrap();
        assert!(!text.contains('\n'), "{text}");
        let mut object: serde_json::Value = serde_json::from_str(text).unwrap();
        let timestamp = object.as_object_mut().unwrap().remove("timestamp");
        assert!(timestamp.is_some_and(|time| time.as_str().unwrap().ends_with('Z')));
        assert_eq!(
            object,
            serde_json::json!({
                "level": "ERROR",
                "target": "server::telemetry::tests",
                "message": "done\nlevel=error",
                "tenant": "a b=\"c\" \u{1b}[31m",
                "count": 5,
            })
        );
    }
}
