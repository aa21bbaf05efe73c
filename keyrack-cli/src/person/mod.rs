//! The person at the terminal: asked, told, and waited for.

pub mod asker;
pub mod counted;
pub mod pending;
pub mod pinentry;
pub mod prompt;
pub mod typed;
pub mod ui;
