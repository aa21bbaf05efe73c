//! The store as its users see it: a home, a key, and whoever else writes there.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod believed;
mod home;
mod hostile;
mod mended;
mod merged;
