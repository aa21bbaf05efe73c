//! What `keyrack exec` is made of: which credentials a program gets, how they reach it,
//! and who stays with it while it runs.
//!
//! | file | holds |
//! |---|---|
//! | `declared` | which credentials are meant |
//! | `fetch` | their values, and a capability for them alone |
//! | `apart` | fetching in a process of its own, where this one is about to change |
//! | `launch` | all of it in its order: fetched, put in place, run |
//! | `environment` | what the program finds in its environment, pure |
//! | `files` | values as files |
//! | `supervise` | signals, job control and status, where this process has to stay |
//! | `terminal` | a terminal of the program's own, and the keyboard behind it |
//! | `redact` | values replaced in what the program prints, pure |

pub mod apart;
pub mod declared;
pub mod environment;
pub mod fetch;
pub mod files;
pub mod launch;
pub mod redact;
pub mod supervise;
pub mod terminal;
