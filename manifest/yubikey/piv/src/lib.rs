//! What the command and `keyrack-yubikey` say to one another, and what can be wrong with a
//! YubiKey. One JSON object a line, described in `docs/PROTOCOL.md`. Only types: neither a
//! card nor a terminal is near.

mod device;
mod error;
mod message;
mod point;
mod policy;
mod slot;

pub use device::{Attestation, Device, Management, PivKey, Tries};
pub use error::PivError;
pub use message::{Answer, Asked, Event, Offer, Request};
pub use point::{BadPoint, Point, Tag};
pub use policy::{BadPolicy, PinPolicy, TouchPolicy};
pub use slot::{BadSlot, Slot};
