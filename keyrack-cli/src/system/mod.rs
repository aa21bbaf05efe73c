//! What the operating system is asked for.

pub mod accounts;
pub mod harden;
pub mod process;
pub mod programs;
#[cfg(all(target_env = "gnu", not(test)))]
mod start;
pub mod streams;
pub mod sys;
