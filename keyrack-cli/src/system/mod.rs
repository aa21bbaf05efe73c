//! What the operating system is asked for.

pub mod accounts;
pub mod harden;
pub mod process;
#[cfg(all(target_env = "gnu", not(test)))]
mod start;
pub mod sys;
