//! YubiKeys, spoken to through `keyrack-yubikey`: a process of its own, so that the command
//! links no smart card library, and a card that hangs hangs nobody but who asked.

pub mod helper;
pub mod make;
pub mod owner;
pub mod record;
pub mod words;
