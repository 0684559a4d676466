//! Instructions and allocations of a program, counted by valgrind's callgrind.

use std::fs;
use std::process::{Command, Stdio};

use crate::error::BenchError;

/// What a program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) instructions: u64,
    /// Calls of Rust's allocator.
    pub(crate) allocations: u64,
}

/// Functions that allocate, by a part of their names.
const ALLOCATE: [&str; 2] = ["__rust_alloc", "__rust_realloc"];

/// Runs a command under callgrind; `None` where there is no valgrind.
pub(crate) fn run(command: &Command) -> Result<Option<Work>, BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::file("make", "a folder"))?;
    let profile = folder.path().join("profile");
    let status = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(BenchError::Input(format!("valgrind ended with {status}"))),
        Err(_) => {
            eprintln!("there is no valgrind, so instructions and allocations are not counted");
            return Ok(None);
        }
    }
    let text = fs::read_to_string(&profile).map_err(BenchError::file("read", &profile))?;
    Ok(Some(read(&text)))
}

/// Sums up a profile: `summary:` has the instructions; `calls=` lines follow the function they call.
fn read(profile: &str) -> Work {
    let mut work = Work {
        instructions: 0,
        allocations: 0,
    };
    // A name stands once, with a number that stands for it afterwards.
    let mut allocating = Vec::new();
    let mut called = false;
    for line in profile.lines() {
        if let Some(counts) = line
            .strip_prefix("summary:")
            .or_else(|| line.strip_prefix("totals:"))
        {
            let count = counts.split_whitespace().next();
            let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
            work.instructions = work.instructions.max(count);
        } else if let Some(function) = line
            .strip_prefix("cfn=")
            .or_else(|| line.strip_prefix("fn="))
        {
            let number = function.split(')').next().unwrap_or_default();
            let allocates = ALLOCATE.iter().any(|name| function.contains(name));
            if allocates && !allocating.contains(&number) {
                allocating.push(number);
            }
            called = line.starts_with("cfn=") && allocating.contains(&number);
        } else if let Some(calls) = line.strip_prefix("calls=") {
            let count = calls.split_whitespace().next();
            let count: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
            work.allocations += if called { count } else { 0 };
        }
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_summed_up() {
        let profile = "events: Ir\n\
             fn=(1) main\n1 10\ncfn=(2) __rustc::__rust_alloc\ncalls=3 0\n1 60\n\
             cfn=(3) __rustc::__rust_dealloc\ncalls=3 0\n1 6\n\
             fn=(4) other\n1 5\ncfn=(2)\ncalls=2 0\n1 40\n\ntotals: 121\n";
        let work = Work {
            instructions: 121,
            allocations: 5,
        };
        assert_eq!(read(profile), work);
    }
}
