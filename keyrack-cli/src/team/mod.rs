//! Vaults with several members, as one of them sees them: found in the owner's manifest,
//! verified against what this device has seen, and opened with the keys the manifest carries.

pub mod acts;
pub mod card;
pub mod change;
pub mod credential;
pub mod daemons;
pub mod default_vault;
pub mod exchange;
mod exchanged;
pub mod farewell;
pub mod gits;
pub mod joining;
pub mod leaving;
mod mending;
pub mod newcomer;
pub mod offered;
pub mod place;
mod redo;
pub mod rekey;
pub mod restored;
pub mod rights;
pub mod words;

pub use place::{Place, Shelf};
