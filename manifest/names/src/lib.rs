//! The words every keyrack crate speaks: who owns ([`Owner`]), what is asked for
//! ([`Slug`], [`Ask`]) and what must not leak ([`Secret`]).
//!
//! Names are valid by construction: parsed once at the door, never checked again.
//! Nothing here reads a file, a clock or the environment.

mod ask;
pub mod id;
mod name;
mod owner;
mod secret;
mod slug;

pub use ask::{Ask, AskError};
pub use id::{IdError, RackId};
pub use name::NameError;
pub use owner::Owner;
pub use secret::Secret;
pub use slug::{Env, KeyName, Org, Slug};
