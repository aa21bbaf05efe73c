//! Keys, public and private, and what is sealed to them.

pub mod generate;
pub mod header;
pub mod identity;
pub mod identity_file;
pub mod piv;
pub mod plugin;
pub mod prompter;
pub mod recipient;
pub mod remember;
pub mod seal;
pub mod search;
pub mod ssh_line;
pub mod stub;
