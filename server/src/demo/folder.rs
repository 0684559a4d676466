//! The folder of the demo: its own, so that it can be emptied before it is filled again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ingest::OsDisk;

use crate::failure::Mistake;

/// Says that the demo made a folder and may empty it.
const MARKER: &str = "made-by-spandrel-demo";

/// A folder that holds nothing but a demo.
#[derive(Debug)]
pub struct DemoFolder(PathBuf);

impl DemoFolder {
    /// Makes the folder, or empties it if an earlier demo made it. Anyone else's files are left alone.
    ///
    /// # Errors
    /// The folder holds something else, is in use, or cannot be written to.
    pub fn prepare(path: &Path) -> anyhow::Result<Self> {
        let is_empty = fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        if !is_empty && !path.join(MARKER).is_file() {
            return Err(Mistake::new(format!(
                "{} holds something else: choose an empty folder for the demo with --data-dir",
                path.display()
            )));
        }
        let failed = || format!("cannot use the folder {}", path.display());
        fs::create_dir_all(path).with_context(failed)?;
        // Nobody may be serving from it while it is emptied.
        drop(OsDisk::open(path)?);
        for entry in fs::read_dir(path).with_context(failed)? {
            let entry = entry?.path();
            if entry.is_dir() {
                fs::remove_dir_all(&entry)
            } else {
                fs::remove_file(&entry)
            }
            .with_context(failed)?;
        }
        fs::write(
            path.join(MARKER),
            "The demo empties this folder each time it starts.\n",
        )
        .with_context(failed)?;
        Ok(Self(path.to_path_buf()))
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_a_demo_are_emptied() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("demo");
        let folder = DemoFolder::prepare(&path).expect("a new folder");
        fs::create_dir(folder.file("store")).expect("a folder");
        DemoFolder::prepare(&path).expect("an earlier demo");
        assert!(!folder.file("store").is_dir());

        let other = parent.path().join("other");
        fs::create_dir(&other).expect("a folder");
        fs::write(other.join("precious"), "").expect("a file");
        let error = DemoFolder::prepare(&other).expect_err("not ours");
        assert!(
            error.to_string().contains("holds something else"),
            "{error}"
        );
        assert!(other.join("precious").is_file());
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("demo");
        DemoFolder::prepare(&path).expect("a new folder");
        let _running = OsDisk::open(&path).expect("free");
        assert!(
            DemoFolder::prepare(&path)
                .expect_err("in use")
                .to_string()
                .contains("in use")
        );
    }
}
