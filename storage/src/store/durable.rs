//! A directory as an object store whose writes survive a power cut.
//!
//! The object store crate of this version leaves files in the page cache. An object that a manifest
//! names, and the manifest itself, must be on the disk before anyone is told that they are there, so
//! here a written object is synced before it gets its name, and its folder after.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart,
};

/// A directory as an object store whose writes survive a power cut.
#[derive(Debug)]
pub struct DurableLocal {
    inner: LocalFileSystem,
}

impl DurableLocal {
    /// A store in a directory, which must be there.
    ///
    /// # Errors
    ///
    /// If the directory is not there.
    pub fn new(directory: impl AsRef<FilePath>) -> Result<Self> {
        Ok(Self {
            // Each block has a folder of its own, which goes with its last object.
            inner: LocalFileSystem::new_with_prefix(directory)?.with_automatic_cleanup(true),
        })
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableLocal({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            // The inner store says so in its own words.
            PutMode::Update(_) => return self.inner.put_opts(location, payload, options).await,
        };
        let path = self.inner.path_to_filesystem(location)?;
        let task = tokio::task::spawn_blocking(move || write_again(&path, &payload, create));
        task.await
            .map_err(|source| object_store::Error::JoinError { source })??;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(DurableUpload { inner, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        self.sync(to).await
    }
}

impl DurableLocal {
    async fn sync(&self, location: &Path) -> Result<()> {
        sync_later(self.inner.path_to_filesystem(location)?).await
    }
}

/// An upload in parts, synced when it is complete. Until then nobody may rely on it.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        sync_later(self.path.clone()).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

async fn sync_later(path: PathBuf) -> Result<()> {
    let task = tokio::task::spawn_blocking(move || {
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced
            .and_then(|()| sync_folder(&path))
            .map_err(|error| failure(&path, error))
    });
    task.await
        .map_err(|source| object_store::Error::JoinError { source })?
}

/// Writes a file, and once more if its folder was removed meanwhile because it was empty.
fn write_again(path: &FilePath, payload: &PutPayload, create: bool) -> Result<()> {
    let written = match write(path, payload, create) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => write(path, payload, create),
        written => written,
    };
    written.map_err(|error| failure(path, error))
}

fn write(path: &FilePath, payload: &PutPayload, create: bool) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    make_folders(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (file, staged) = stage(folder, &name)?;
    let written = write_synced(file, payload).and_then(|()| {
        if create {
            std::fs::hard_link(&staged, path)
        } else {
            std::fs::rename(&staged, path)
        }
    });
    if create || written.is_err() {
        // After a link it is no longer needed, after a failure no use; left behind it harms nobody.
        drop(std::fs::remove_file(&staged));
    }
    written.and_then(|()| sync_folder(path))
}

/// Makes a file that nobody else writes to, to be given its name once it is whole.
pub(super) fn stage(folder: &FilePath, name: &str) -> std::io::Result<(File, PathBuf)> {
    let mut number = 1_u64;
    loop {
        // Names that end in # and digits are invisible in the listings of the inner store.
        let path = folder.join(format!("{name}#{number}"));
        match File::create_new(&path) {
            Ok(file) => return Ok((file, path)),
            // Someone else writes the same object, or was ended while doing so.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn write_synced(mut file: File, payload: &PutPayload) -> std::io::Result<()> {
    payload.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Makes folders so that they, too, survive.
fn make_folders(folder: &FilePath) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(folder),
    }
}

/// Syncs the folder that a file or folder is in, where the system knows how.
fn sync_folder(path: &FilePath) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

fn failure(path: &FilePath, error: std::io::Error) -> object_store::Error {
    let path = path.display().to_string();
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists {
            path,
            source: Box::new(error),
        },
        std::io::ErrorKind::PermissionDenied => object_store::Error::PermissionDenied {
            path,
            source: Box::new(error),
        },
        _ => object_store::Error::Generic {
            store: "DurableLocal",
            source: Box::new(error),
        },
    }
}
