//! How a daemon comes to life: the command hands it everything over a socket pair on
//! standard input, and is told over the same how it went.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use keyrack_protocol::message::{MessageError, Start, Started, decode, encode};
use keyrack_protocol::peer;
use keyrack_protocol::{frame, handover};
use nix::sys::socket::SockType;
use nix::sys::socket::{
    AddressFamily, SockaddrLike, SockaddrStorage, getpeername, getsockopt, sockopt,
};

/// How long the command may take to hand over.
const DEADLINE: Duration = Duration::from_secs(10);

/// Why a daemon does not start. Also what the command is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// Standard input is not one end of a socket pair.
    #[error("keyrackd is started by `keyrack unlock`, not by hand")]
    ByHand,
    /// It is, but of somebody else.
    #[error("the other end of standard input belongs to uid {0}")]
    Foreign(u32),
    /// Reading or writing it failed.
    #[error("the command went away: {0}")]
    Lost(#[from] io::Error),
    /// What came over it is no start message.
    #[error("the start message: {0}")]
    Message(#[from] MessageError),
    /// A process to end with is named and did not come, or came and is not named.
    #[error("the process to end with and its descriptor come together")]
    Unbound,
}

/// The command that starts this daemon.
pub(crate) struct Commander(UnixStream);

impl Commander {
    /// The command at the other end of standard input.
    ///
    /// # Errors
    /// [`StartError::ByHand`] and [`StartError::Foreign`].
    pub(crate) fn on_stdin() -> Result<Self, StartError> {
        let stdin = io::stdin();
        let fd = stdin.as_fd();
        if !is_socket_pair(&fd) {
            return Err(StartError::ByHand);
        }
        let uid = peer::of(&fd).map_err(|_| StartError::ByHand)?.uid;
        // Root may start anybody's daemon; nothing here is kept from root.
        if uid != peer::own_uid() && uid != 0 {
            return Err(StartError::Foreign(uid));
        }
        let stream = UnixStream::from(fd.try_clone_to_owned()?);
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self(stream))
    }

    /// What the command hands over, and the process to end with, where there is one.
    ///
    /// # Errors
    /// [`StartError::Lost`], [`StartError::Message`] and [`StartError::Unbound`].
    pub(crate) fn receive(&mut self) -> Result<(Start, Option<OwnedFd>), StartError> {
        let (payload, process) = handover::receive(&self.0)?;
        let start: Start = decode(&payload)?;
        if start.ends_with.is_some() != process.is_some() {
            return Err(StartError::Unbound);
        }
        Ok((start, process))
    }

    /// Tells the command how it went and hangs up.
    ///
    /// # Errors
    /// When the command went away.
    pub(crate) fn tell(mut self, started: &Started) -> io::Result<()> {
        frame::write(&mut self.0, &encode(started))
    }
}

fn is_socket_pair(fd: &impl AsFd) -> bool {
    let fd = fd.as_fd();
    let is_stream = getsockopt(&fd, sockopt::SockType).is_ok_and(|kind| kind == SockType::Stream);
    let peer = getpeername::<SockaddrStorage>(std::os::fd::AsRawFd::as_raw_fd(&fd));
    is_stream && peer.is_ok_and(|peer| peer.family() == Some(AddressFamily::Unix))
}

/// The audit log on standard output, as a descriptor of its own.
///
/// # Errors
/// When descriptors run out.
pub(crate) fn log_on_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Lets go of standard input, output and error.
///
/// # Errors
/// Where there is no `/dev/null`.
pub(crate) fn let_go() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}
