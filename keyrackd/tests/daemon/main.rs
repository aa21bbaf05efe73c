//! The real `keyrackd`, started as the command starts it and spoken to over its socket.

// Clippy lets only functions marked as tests unwrap; and nobody but these files reads them.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod bound;
mod callers;
mod lacking;
mod life;
mod older;
mod paths;
mod process;
mod rig;
mod stranger;
mod who;
