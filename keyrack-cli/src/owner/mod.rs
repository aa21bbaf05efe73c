//! An owner as the command has it: its key, its manifest, what is in them, and what is
//! left for it.

pub mod drops;
pub mod keeper;
pub mod keysource;
pub mod level;
pub mod opened;
pub mod ownkey;
pub mod provisional;
pub mod provisioner;
pub mod renew;
pub mod ssh_agent;
pub mod unlocking;
pub mod upkeep;
pub mod users;
pub mod values;
