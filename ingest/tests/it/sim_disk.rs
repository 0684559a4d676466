//! A disk in memory that tells what is synced from what is not, fails on demand, and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ingest::{Disk, DiskFile};

/// What is left of unsynced data after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// Only what was synced: bytes, and names in synced folders.
    OnlySynced,
    /// Everything that was written.
    All,
    /// Names, and half of the unsynced bytes of each file.
    HalfOfTheTail,
    /// Names and lengths, but zeros where bytes were not synced.
    LengthOnly,
}

pub(crate) const SURVIVES: [Survives; 4] = [
    Survives::OnlySynced,
    Survives::All,
    Survives::HalfOfTheTail,
    Survives::LengthOnly,
];

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call, and all after it, do nothing: the process is gone. Of an append, half happens.
    Crash,
    /// The call works, but nobody learns of it, and all after it do nothing.
    CrashAfter,
    /// The call fails without effect; later ones work.
    Fail(io::ErrorKind),
    /// An append writes half and fails; another call fails without effect.
    Half(io::ErrorKind),
    /// The call and all later ones fail, until the disk is healed.
    FailFromHere(io::ErrorKind),
}

/// How much of a failing call happens nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    None,
    Half,
    All,
}

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
    name_synced: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, File>,
    /// Names removed or renamed away whose removal is not synced, with what they named.
    ghosts: BTreeMap<PathBuf, File>,
    dirs: BTreeSet<PathBuf>,
    calls: usize,
    fault: Option<(usize, Fault)>,
    crashed: bool,
    broken: Option<io::ErrorKind>,
    free: Option<u64>,
}

/// A disk in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// Lets the call of this number, from 0, go wrong.
    pub(crate) fn fault(&self, call: usize, fault: Fault) {
        self.state.lock().unwrap().fault = Some((call, fault));
    }

    /// The fault, from now on.
    pub(crate) fn fault_next(&self, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.fault = Some((state.calls, fault));
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        let mut state = self.state.lock().unwrap();
        state.fault = None;
        state.broken = None;
        state.free = None;
    }

    pub(crate) fn set_free_space(&self, bytes: u64) {
        self.state.lock().unwrap().free = Some(bytes);
    }

    /// Calls that changed, or should have changed, the disk.
    pub(crate) fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    pub(crate) fn crashed(&self) -> bool {
        self.state.lock().unwrap().crashed
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.state.lock().unwrap().files.keys().cloned().collect()
    }

    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        self.state.lock().unwrap().files[path].bytes.clone()
    }

    /// Changes a file behind everyone's back.
    pub(crate) fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock().unwrap();
        let file = state.files.get_mut(path).unwrap();
        change(&mut file.bytes);
        file.synced = file.bytes.len();
    }

    /// The disk as a new process finds it after a crash now.
    pub(crate) fn after_crash(&self, survives: Survives) -> Self {
        let state = self.state.lock().unwrap();
        let mut files = BTreeMap::new();
        let mut keep = |path: &PathBuf, file: &File| {
            let mut bytes = file.bytes.clone();
            match survives {
                Survives::OnlySynced => bytes.truncate(file.synced),
                Survives::All => {}
                Survives::HalfOfTheTail => {
                    bytes.truncate(file.synced + (bytes.len() - file.synced) / 2)
                }
                Survives::LengthOnly => bytes[file.synced..].fill(0),
            }
            let synced = bytes.len();
            files.insert(
                path.clone(),
                File {
                    bytes,
                    synced,
                    name_synced: true,
                },
            );
        };
        for (path, file) in &state.files {
            if file.name_synced || survives != Survives::OnlySynced {
                keep(path, file);
            }
        }
        if survives == Survives::OnlySynced {
            // A removal that was not synced did not happen.
            for (path, file) in &state.ghosts {
                keep(path, file);
            }
        }
        let state = State {
            files,
            dirs: state.dirs.clone(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A call to something else that crashes together with this disk: how much of it happens, and
    /// whether it then fails.
    pub(crate) fn other_call(&self) -> Option<(io::Error, Part)> {
        self.call().1
    }

    /// Counts a call; says whether it must fail, and how much of it happens before.
    fn call(&self) -> (std::sync::MutexGuard<'_, State>, Option<(io::Error, Part)>) {
        let mut state = self.state.lock().unwrap();
        let number = state.calls;
        state.calls += 1;
        if state.crashed {
            return (state, Some((io::ErrorKind::BrokenPipe.into(), Part::None)));
        }
        let mut failure = state.broken.map(|kind| (kind.into(), Part::None));
        if let Some((at, fault)) = state.fault
            && at == number
        {
            failure = Some(match fault {
                Fault::Crash => {
                    state.crashed = true;
                    (io::ErrorKind::BrokenPipe.into(), Part::Half)
                }
                Fault::CrashAfter => {
                    state.crashed = true;
                    (io::ErrorKind::BrokenPipe.into(), Part::All)
                }
                Fault::Fail(kind) => (kind.into(), Part::None),
                Fault::Half(kind) => (kind.into(), Part::Half),
                Fault::FailFromHere(kind) => {
                    state.broken = Some(kind);
                    (kind.into(), Part::None)
                }
            });
        }
        (state, failure)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, failure) = self.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let (mut state, failure) = self.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        if !state.dirs.contains(path.parent().unwrap()) {
            return Err(not_found());
        }
        if state.files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(path.to_owned(), File::default());
        drop(state);
        Ok(Box::new(SimFile {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock().unwrap();
        let paths = state.files.keys().chain(&state.dirs);
        let names = paths.filter(|path| path.parent() == Some(dir));
        Ok(names
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state
            .files
            .get(path)
            .map(|file| file.bytes.clone())
            .ok_or_else(not_found)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, failure) = self.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        let file = state.files.remove(path).ok_or_else(not_found)?;
        if file.name_synced {
            state.ghosts.insert(path.to_owned(), file);
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, failure) = self.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        let file = state.files.remove(from).ok_or_else(not_found)?;
        if file.name_synced {
            state.ghosts.insert(from.to_owned(), file.clone());
        }
        state.files.insert(
            to.to_owned(),
            File {
                name_synced: false,
                ..file
            },
        );
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let (mut state, failure) = self.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        for (path, file) in &mut state.files {
            file.name_synced |= path.parent() == Some(dir);
        }
        state.ghosts.retain(|path, _| path.parent() != Some(dir));
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().free.unwrap_or(u64::MAX))
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut state, failure) = self.disk.call();
        let written = match &failure {
            None | Some((_, Part::All)) => bytes,
            Some((_, Part::Half)) => &bytes[..bytes.len() / 2],
            Some((_, Part::None)) => &[],
        };
        if let Some(file) = state.files.get_mut(&self.path) {
            file.bytes.extend_from_slice(written);
        }
        failure.map_or(Ok(()), |(error, _)| Err(error))
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, failure) = self.disk.call();
        if let Some((error, part)) = failure
            && part != Part::All
        {
            return Err(error);
        }
        if let Some(file) = state.files.get_mut(&self.path) {
            file.synced = file.bytes.len();
        }
        Ok(())
    }
}
