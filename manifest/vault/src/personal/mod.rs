//! A personal vault: a vault with one member, whose manifest says what is in it. The files
//! are those of any vault, and the records private to the owner. The manifest is signed,
//! counted and pinned, and names each record by its digest: so the chain is not asked when
//! a value is read, and ten thousand are read in the time of a thousand signatures.

mod aside;
mod check;
mod old;
mod renew;
mod settle;
mod tidy;
mod vault;

pub use aside::set_aside;
pub use renew::{Founder, Renewed, create};
pub use tidy::GRACE;
pub use vault::{NewRecord, Personal};
