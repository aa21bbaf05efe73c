//! Who is at the other end of a socket, as the kernel says.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// The process that connected or that bound the socket, at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user id.
    pub uid: u32,
    /// Its process id.
    pub pid: i32,
}

/// Asks the kernel (`SO_PEERCRED`) who is at the other end.
///
/// # Errors
/// When the socket is not a Unix socket.
pub fn of(socket: &impl AsFd) -> nix::Result<Peer> {
    let credentials = getsockopt(socket, PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), pid: credentials.pid() })
}

/// Our own effective user id.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}
