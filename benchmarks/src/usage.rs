//! What the process has used: processor time and memory, as Linux tells it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use storage::{Clock as _, SystemClock};

use crate::error::BenchError;

/// Unit of the times in `/proc/self/stat`; the same on every Linux architecture in use.
const TICK: Duration = Duration::from_millis(10);

/// Wall and processor time since some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// Measures [`Spent`] of this process.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    cpu: Duration,
    clock: fn() -> Duration,
}

impl Meter {
    /// For work of seconds: all threads, those that have ended too, in steps of 10 ms.
    pub(crate) fn start() -> Self {
        Self {
            started: SystemClock.instant(),
            cpu: cpu_ticks(),
            clock: cpu_ticks,
        }
    }

    /// For work of milliseconds: the threads that live all the while, in ns.
    pub(crate) fn start_fine() -> Self {
        Self {
            started: SystemClock.instant(),
            cpu: cpu_of_threads(),
            clock: cpu_of_threads,
        }
    }

    pub(crate) fn spent(&self) -> Spent {
        let wall = SystemClock.instant() - self.started;
        Spent {
            wall,
            cpu: (self.clock)().saturating_sub(self.cpu),
        }
    }

    /// What was spent by a piece of work, and its result.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Spent) {
        let meter = Self::start();
        let result = work();
        (result, meter.spent())
    }
}

/// User and system time of the process.
fn cpu_ticks() -> Duration {
    cpu_ticks_of("self")
}

fn cpu_ticks_of(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name of the program, in parentheses, may hold spaces; 11 more fields stand before the times.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

/// Time of the threads that live now; that of the whole process where the kernel does not tell.
fn cpu_of_threads() -> Duration {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return cpu_ticks();
    };
    let mut total = None;
    for thread in threads.flatten() {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread.path().join("sched")) else {
            continue;
        };
        let line = text
            .lines()
            .find(|line| line.starts_with("se.sum_exec_runtime"));
        let millis = line.and_then(|line| line.rsplit_once(':')?.1.trim().parse::<f64>().ok());
        if let Some(millis) = millis {
            *total.get_or_insert(Duration::ZERO) += Duration::from_secs_f64(millis.max(0.0) / 1e3);
        }
    }
    total.unwrap_or_else(cpu_ticks)
}

/// Most memory that was resident since the process started or [`reset_peak`].
pub(crate) fn peak_resident_bytes() -> u64 {
    peak_resident_bytes_of("self")
}

fn peak_resident_bytes_of(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Starts the measurement of peak memory anew; says whether the kernel allowed it.
pub(crate) fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// What another process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) peak_resident_bytes: u64,
    /// Bytes that it had written to disk; 0 where the kernel does not tell.
    pub(crate) written_bytes: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let process = process.to_string();
        let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"));
        Self {
            cpu: cpu_ticks_of(&process),
            peak_resident_bytes: peak_resident_bytes_of(&process),
            written_bytes: written
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0),
        }
    }
}

/// Makes the kernel forget what it has in memory of all files below a folder.
pub(crate) fn drop_from_page_cache(folder: &Path) -> Result<(), BenchError> {
    let entries = fs::read_dir(folder).map_err(BenchError::file("read", folder))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            drop_from_page_cache(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            // Pages not yet on disk would stay.
            file.sync_all().map_err(BenchError::file("sync", &path))?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
                .map_err(|error| BenchError::file("forget", &path)(error.into()))?;
        }
    }
    Ok(())
}
