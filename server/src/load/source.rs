//! Requests from files: compressed or not, protobuf or JSON, told apart by their first bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use storage::otlp::read_delimited_plain;

use super::json_lines::{JsonLines, Request};
use super::source_error::SourceError;

const BUFFER_BYTES: usize = 1 << 20;
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Where requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Bytes of this program, under a name.
    Embedded(&'static str, &'static [u8]),
}

/// The requests of a source, in their order.
pub(super) type Requests = Box<dyn Iterator<Item = Result<Request, SourceError>> + Send>;

/// Bytes that went through a reader.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdin => f.write_str("standard input"),
            Self::Embedded(name, _) => f.write_str(name),
        }
    }
}

impl Source {
    /// The source that a command line names; `-` is standard input.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        if path == Path::new("-") {
            Self::Stdin
        } else {
            Self::File(path.to_path_buf())
        }
    }

    /// Its length as stored, where it is known.
    #[must_use]
    pub fn size_bytes(&self) -> Option<u64> {
        match self {
            Self::File(path) => std::fs::metadata(path)
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|file| file.len()),
            Self::Stdin => None,
            Self::Embedded(_, bytes) => u64::try_from(bytes.len()).ok(),
        }
    }

    /// Opens the source. `stored` counts its bytes as they are stored, `decoded` after decompression.
    pub(super) fn open(
        &self,
        stored: &Counter,
        decoded: &Counter,
    ) -> Result<Requests, SourceError> {
        let name = self.to_string();
        let raw: Box<dyn Read + Send> = match self {
            Self::File(path) => {
                let file = File::open(path).and_then(|file| {
                    let is_folder = file.metadata()?.is_dir();
                    if is_folder {
                        Err(io::Error::from(io::ErrorKind::IsADirectory))
                    } else {
                        Ok(file)
                    }
                });
                Box::new(file.map_err(|source| SourceError::Open {
                    name: name.clone(),
                    source,
                })?)
            }
            Self::Stdin => Box::new(io::stdin()),
            Self::Embedded(_, bytes) => Box::new(Cursor::new(*bytes)),
        };
        let failed = |source| SourceError::Read {
            name: name.clone(),
            source,
        };
        let decompressed = decompress(Counted {
            inner: raw,
            counter: stored.clone(),
        })
        .map_err(failed)?;
        let mut text = BufReader::with_capacity(
            BUFFER_BYTES,
            Counted {
                inner: decompressed,
                counter: decoded.clone(),
            },
        );
        // A name is a hint only for bytes that could be both.
        let is_json = self.is_named_json() || looks_like_json(text.fill_buf().map_err(failed)?);
        Ok(if is_json {
            Box::new(JsonLines::new(text, name))
        } else {
            delimited(text, name)
        })
    }

    fn is_named_json(&self) -> bool {
        let Self::File(path) = self else { return false };
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let bare = name.trim_end_matches(".zst").trim_end_matches(".gz");
        [".json", ".jsonl", ".ndjson"]
            .iter()
            .any(|end| bare.ends_with(end))
    }
}

fn decompress(raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    let start = raw.fill_buf()?;
    if start.starts_with(ZSTD_MAGIC) {
        Ok(Box::new(zstd::Decoder::with_buffer(raw)?))
    } else if start.starts_with(GZIP_MAGIC) {
        Ok(Box::new(MultiGzDecoder::new(raw)))
    } else {
        Ok(Box::new(raw))
    }
}

/// Whether this is the start of a JSON object. A first message of 123 bytes also starts with `{` and
/// goes on with a line feed, but hardly with a quote or a closing brace after it.
fn looks_like_json(start: &[u8]) -> bool {
    let mut visible = start.iter().filter(|byte| !byte.is_ascii_whitespace());
    visible.next() == Some(&b'{') && matches!(visible.next(), Some(b'"' | b'}'))
}

fn delimited(reader: impl Read + Send + 'static, name: String) -> Requests {
    Box::new(read_delimited_plain(reader).map(move |request| {
        request.map_err(|source| SourceError::Message {
            name: name.clone(),
            source,
        })
    }))
}

/// A reader that counts what goes through it.
struct Counted<R> {
    inner: R,
    counter: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter
            .0
            .fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LINE: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"a","startTimeUnixNano":"5","endTimeUnixNano":"7"}]}]}]}"#;

    fn read(name: &str, bytes: &[u8]) -> Result<usize, SourceError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let requests = Source::named(&path).open(&Counter::default(), &Counter::default())?;
        let mut count = 0;
        for request in requests {
            request?;
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn formats_are_told_apart_by_their_bytes() {
        let text = format!("{LINE}\n\n{LINE}\n");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).expect("in memory");
        let gzip = gzip.finish().expect("in memory");
        let zstd = zstd::encode_all(text.as_bytes(), 1).expect("in memory");
        for bytes in [text.as_bytes(), &gzip, &zstd] {
            assert_eq!(read("spans", bytes).expect("readable"), 2);
        }
        assert_eq!(read("spans", &[0, 0, 0]).expect("three empty messages"), 3);
        assert_eq!(read("spans", &[]).expect("nothing"), 0);
    }

    #[test]
    fn damage_says_where_it_is() {
        let message = |bytes: &[u8]| {
            let error = anyhow::Error::new(read("spans.otlp", bytes).expect_err("damaged"));
            crate::failure::describe(&error)
        };
        let text = message(format!("{LINE}\n{{\"resourceSpans\":7}}\n").as_bytes());
        assert!(
            text.contains(&format!("line 2 at byte {}", LINE.len() + 1)),
            "{text}"
        );
        let text = message(&[0, 5, 1]);
        assert!(text.contains("message 2 at byte 1"), "{text}");
    }
}
