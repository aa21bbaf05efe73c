//! The symbols of libpcsclite, for the crates that link against it. The library itself is
//! opened when the first of them is called: a program starts where it is not installed,
//! and is built where its headers are not.

mod symbols;

pub use symbols::{LIBRARY, is_installed};
