//! Credentials that lie in files of other tools, brought into an owner's vault.
//!
//! | file | holds |
//! |---|---|
//! | `dotenv` | what a `.env` file says, pure |
//! | `classify` | what kind of credential a name speaks of, and of which service, pure |

pub mod classify;
pub mod dotenv;
