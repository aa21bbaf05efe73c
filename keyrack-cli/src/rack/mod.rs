//! The owner's daemon: found, started, filled, asked; and what it means when it is not there.

pub mod access;
pub mod anchor;
pub mod answer;
pub mod audit_log;
pub mod daemon;
pub mod elsewhere;
pub mod grant;
pub mod installed;
pub mod notify;
pub mod push;
pub mod skew;
pub mod sleeping;
pub mod sockets;
pub mod whereabouts;
