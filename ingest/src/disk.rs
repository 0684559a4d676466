//! The one narrow door to the file system.
//!
//! Everything that the log does to files goes through [`Disk`], so that a test can stand in for the
//! operating system, lose what was not synced, and fail any call.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// A directory tree; all paths are relative to its root.
///
/// Implementations never retry and never hide an error: after a failed `sync` the caller must treat
/// the file as lost beyond its last successful `sync`.
pub trait Disk: Send + Sync + std::fmt::Debug + 'static {
    /// Makes `dir` and its parents, durably, if they are not there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes a new empty file; fails if the name exists. The name is durable after
    /// [`sync_dir`](Disk::sync_dir) of its folder.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Names in `dir`, in any order; none if there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// The bytes of a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Renames a file within its folder.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes on this disk that this process may still write.
    fn free_space(&self) -> io::Result<u64>;
}

/// A file being appended to.
pub trait DiskFile: Send {
    /// Appends all of `bytes`. After an error any part of them may be in the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was appended durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system below a data folder, which no second process may use at the same time.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
    // The file is locked until it is dropped.
    _lock: File,
}

impl OsDisk {
    /// Makes the folder if needed and locks it for this process.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let root = root.into();
        let failed = |source| OpenError::DataFolder {
            path: root.clone(),
            source,
        };
        std::fs::create_dir_all(&root).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked { path: root }),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl Disk for OsDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut made = self.root.clone();
        for part in dir.components() {
            let parent = made.clone();
            made.push(part);
            match std::fs::create_dir(&made) {
                Ok(()) => File::open(parent)?.sync_all()?,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(self.root.join(path))?;
        Ok(Box::new(OsFile { file }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.root.join(dir)) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        // A name that is not UTF-8 is not ours.
        entries
            .filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.root.join(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(self.root.join(from), self.root.join(to))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.root.join(dir))?.sync_all()
    }

    fn free_space(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct OsFile {
    file: File,
}

impl DiskFile for OsFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_serves_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = OsDisk::open(dir.path()).unwrap();
        assert!(matches!(
            OsDisk::open(dir.path()),
            Err(OpenError::Locked { .. })
        ));
        drop(first);
        OsDisk::open(dir.path()).unwrap();
    }

    #[test]
    fn files_are_made_appended_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = OsDisk::open(dir.path()).unwrap();
        assert!(disk.list(Path::new("a/b")).unwrap().is_empty());
        disk.create_dir(Path::new("a/b")).unwrap();
        disk.create_dir(Path::new("a/b")).unwrap();
        let path = Path::new("a/b/c");
        let mut file = disk.create(path).unwrap();
        assert!(disk.create(path).is_err());
        file.append(b"one").unwrap();
        file.append(b"two").unwrap();
        file.sync().unwrap();
        disk.rename(path, Path::new("a/b/d")).unwrap();
        disk.sync_dir(Path::new("a/b")).unwrap();
        assert_eq!(disk.list(Path::new("a/b")).unwrap(), ["d"]);
        assert_eq!(disk.read(Path::new("a/b/d")).unwrap(), b"onetwo");
        disk.remove(Path::new("a/b/d")).unwrap();
        assert!(disk.list(Path::new("a/b")).unwrap().is_empty());
        assert!(disk.free_space().unwrap() > 0);
    }
}
