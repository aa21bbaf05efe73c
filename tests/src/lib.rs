//! What the tests share: a throwaway [`Rack`] around the real binaries, a terminal to
//! type into, a runner for sessions written as Markdown, and daemons that lie.
//!
//! The tests themselves lie in `tests/tests`, one file per topic, and in
//! `tests/sessions`, one session per feature. Nothing here is shipped.

pub mod binaries;
pub mod connector;
pub mod daemons;
pub mod desk;
pub mod fake;
pub mod finished;
pub mod hub;
pub mod kill;
pub mod mask;
pub mod namespaced;
pub mod old_daemon;
pub mod prison;
pub mod rack;
pub mod relay;
pub mod script;
pub mod session;
pub mod skip;
pub mod source;
pub mod team;
pub mod terminal;
pub mod user;

pub use finished::Finished;
pub use prison::Prison;
pub use rack::Rack;
pub use terminal::Terminal;
pub use user::User;
