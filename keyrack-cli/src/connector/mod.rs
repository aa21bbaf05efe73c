//! Connectors: programs that need the credentials of one service, and get what they declared
//! and were granted, never the whole rack.
//!
//! | file | holds |
//! |---|---|
//! | `declaration` | what a connector says it needs, as it is written, pure |
//! | `due` | when a new value is due, pure |
//! | `found` | where declarations lie |
//! | `granted` | which of it an owner granted |
//! | `environment` | what a connector finds in its environment, pure |
//! | `hook` | a declared program that asks a person and hands in new values |
//! | `keeper` | what it left of its session, kept |
//! | `questions` | how it asks |
//! | `renewal` | those values, into the owner's vault |

pub mod declaration;
pub mod due;
pub mod environment;
pub mod found;
pub mod granted;
pub mod hook;
pub mod keeper;
pub mod questions;
pub mod renewal;
