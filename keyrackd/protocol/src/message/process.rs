//! A process that a daemon ends with.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process, told apart from a later one that is given the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// When it started: the kernel's ticks since boot, field 22 of its `stat`.
    pub started: u64,
    /// What it is called, for people.
    pub name: String,
}

impl Process {
    /// Whether it is the very same process, whatever either is called.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}
