//! Storing an object that may be large.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

use crate::error::StorageError;

/// Files from this size on are uploaded in parts, so that a file that grows need not be kept whole.
const MULTIPART_BYTES: usize = 16 << 20;
/// Size of a part.
const PART_BYTES: usize = 8 << 20;
/// Parts on the way at one time.
const PARTS_AT_ONCE: usize = 4;

/// One object on its way into the store: at once if it is small, else in parts.
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// What is on no way yet.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    parts: Option<WriteMultipart>,
}

impl Upload {
    /// Begins; does no I/O.
    pub(crate) fn new(store: &Arc<dyn ObjectStore>, path: Path) -> Self {
        Self {
            store: Arc::clone(store),
            path,
            waiting: Vec::new(),
            waiting_bytes: 0,
            parts: None,
        }
    }

    /// The path of the object.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next bytes of the object.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.waiting_bytes += bytes.len();
        self.waiting.push(bytes);
        if self.parts.is_none() && self.waiting_bytes >= MULTIPART_BYTES {
            let upload = self.store.put_multipart(&self.path).await;
            let upload = upload.map_err(|error| self.failed(error))?;
            self.parts = Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES));
        }
        if self.parts.is_some() {
            self.send().await?;
        }
        Ok(())
    }

    /// Sends what is waiting, in parts.
    async fn send(&mut self) -> Result<(), StorageError> {
        self.waiting_bytes = 0;
        for mut bytes in std::mem::take(&mut self.waiting) {
            while !bytes.is_empty() {
                let Some(mut parts) = self.parts.take() else {
                    return Err(StorageError::Internal("an upload was given up".to_owned()));
                };
                if let Err(error) = parts.wait_for_capacity(PARTS_AT_ONCE).await {
                    // Parts left behind would cost money for ever; the first error is the one to tell.
                    let aborted = parts.abort().await;
                    aborted.map_err(|error| self.failed(error))?;
                    return Err(self.failed(error));
                }
                parts.put(bytes.split_to(bytes.len().min(PART_BYTES)));
                self.parts = Some(parts);
            }
        }
        Ok(())
    }

    /// Ends the object: only now it is there.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(crate) async fn finish(mut self) -> Result<(), StorageError> {
        let finished = match self.parts.take() {
            Some(parts) => parts.finish().await,
            None => {
                let payload = PutPayload::from_iter(std::mem::take(&mut self.waiting));
                self.store.put(&self.path, payload).await
            }
        };
        finished.map(drop).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: object_store::Error) -> StorageError {
        StorageError::from_store("write", self.path.as_ref(), error)
    }
}
