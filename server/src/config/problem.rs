//! What was wrong or useless in what was asked for.

use std::fmt;

/// Something that was asked for and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub origin: String,
    /// The path.
    pub path: String,
    /// Why it has no effect.
    pub reason: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A configuration that cannot be used, with all its mistakes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The mistakes, in the order met.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(
            f,
            "the configuration has {} mistake{plural}",
            self.problems.len()
        )?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.origin, problem.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: `{}` is ignored: {}",
            self.origin, self.path, self.reason
        )
    }
}
