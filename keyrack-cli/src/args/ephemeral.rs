//! `--ephemeral`: a daemon that ends with a process.

use clap::Args;

/// Whether what is unlocked ends with a process.
#[derive(Debug, Default, Args)]
pub struct Ephemeral {
    /// Let the daemon end with this process, and all it holds [default: the CI job's runner, else the calling program; for exec the program]
    #[arg(long, value_name = "PID", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub ephemeral: Option<EndsWith>,
}

/// Which process is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndsWith {
    /// The one that stands to reason.
    Auto,
    /// The one with this pid.
    Pid(i32),
}

impl std::str::FromStr for EndsWith {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            text => match text.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Pid(pid)),
                _ => Err("use the pid of a process"),
            },
        }
    }
}
