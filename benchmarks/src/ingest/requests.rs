//! Encoded OTLP requests in a file, so that neither making them nor holding them counts.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use prost::Message as _;
use testkit::generate::{Workload, request};

use crate::error::BenchError;

/// Requests, taken one after the other by however many connections.
pub(super) struct Requests {
    reader: Mutex<Reader>,
    path: PathBuf,
    pub(super) count: u64,
    pub(super) bytes: u64,
}

struct Reader {
    file: BufReader<File>,
    left: u64,
}

impl Requests {
    /// Writes requests of about `batch` spans each to a file in this folder.
    pub(super) fn make(folder: &Path, workload: &Workload) -> Result<Self, BenchError> {
        let path = folder.join(format!("requests-{}", workload.batch_spans));
        let failed = || BenchError::file("write", &path);
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed())?;
        let mut writer = BufWriter::new(file);
        let (mut count, mut bytes) = (0, 0);
        for batch in workload.batches() {
            let encoded = request(&batch).encode_to_vec();
            let length = u32::try_from(encoded.len())
                .map_err(|_| BenchError::Input("a request beyond 4 GiB".to_owned()))?;
            writer
                .write_all(&length.to_le_bytes())
                .and_then(|()| writer.write_all(&encoded))
                .map_err(failed())?;
            count += 1;
            bytes += u64::from(length);
        }
        let file = writer
            .into_inner()
            .map_err(|error| failed()(error.into_error()))?;
        file.sync_all().map_err(failed())?;
        let this = Self {
            reader: Mutex::new(Reader {
                file: BufReader::with_capacity(1 << 20, file),
                left: 0,
            }),
            path,
            count,
            bytes,
        };
        this.rewind()?;
        Ok(this)
    }

    /// Starts again from the first.
    pub(super) fn rewind(&self) -> Result<(), BenchError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.left = self.count;
        reader
            .file
            .rewind()
            .map_err(BenchError::file("rewind", &self.path))
    }

    /// The next one; none at the end.
    pub(super) fn next(&self) -> Result<Option<Bytes>, BenchError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.left == 0 {
            return Ok(None);
        }
        reader.left -= 1;
        let mut length = [0; 4];
        let failed = || BenchError::file("read", &self.path);
        reader.file.read_exact(&mut length).map_err(failed())?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        reader.file.read_exact(&mut body).map_err(failed())?;
        Ok(Some(Bytes::from(body)))
    }
}
