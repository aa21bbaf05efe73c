//! A YubiKey without the hardware: a PIV card that answers as one does, a finger that
//! touches it or does not, and a reader of its own that a real pcscd drives.
//!
//! [`Card`] is the applet: bytes in, bytes out, no clock and no socket. [`Device`] is a
//! card that can be plugged in and pulled out. [`Reader`] is a pcscd in a namespace of its
//! own ([`namespace`]), so that nothing here meets the machine's real readers. Nothing
//! here is shipped.

mod act;
mod apdu;
mod attestation;
mod card;
mod code;
mod der;
mod device;
mod firmware;
mod hand;
mod keys;
mod management;
pub mod namespace;
mod objects;
mod pcscd;
mod reader;
mod tlv;
mod vpcd;

pub use act::Act;
pub use apdu::{Command, Status};
pub use card::Card;
pub use device::Device;
pub use firmware::Firmware;
pub use hand::{Finger, Habit, Seen};
pub use keys::{PinPolicy, TouchPolicy};
pub use reader::Reader;
pub use tlv::{Tlv, tlv};
