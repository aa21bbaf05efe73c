//! Telling a service manager that an owner's daemon is the service from here on
//! (sd_notify(3)). The command does it and not the daemon, which is sealed, has no
//! environment and knows of no manager.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, Read};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::time::Duration;

use keyrack_names::Owner;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::error::{Code, Context, Failure, Outcome};
use crate::rack::access;
use crate::settings::Settings;

/// How long the manager may take to hear.
const PATIENCE: Duration = Duration::from_secs(5);

/// A service manager that waits to be told.
#[derive(Debug)]
pub struct Manager<'a> {
    address: &'a OsString,
}

impl<'a> Manager<'a> {
    /// The one that started this process.
    ///
    /// # Errors
    /// [`Code::Usage`] when none did.
    pub fn find(settings: &'a Settings) -> Outcome<Self> {
        let address = settings.manager.as_ref().ok_or_else(|| {
            Failure::new(
                Code::Usage,
                "--notify is for a service of systemd: NOTIFY_SOCKET is not set",
            )
        })?;
        Ok(Self { address })
    }

    /// Tells it that `owner`'s daemon is the service's main process, and waits until it has
    /// heard: of a process that has ended it would believe nothing.
    ///
    /// # Errors
    /// When no daemon runs, or the manager does not listen.
    pub fn hand_over(&self, settings: &Settings, owner: &Owner) -> Outcome {
        let daemon = access::bare_status(settings, owner)
            .map_err(|error| crate::rack::daemon::failure(&error, owner))?;
        let words = format!("MAINPID={}\nSTATUS={owner} is unlocked\nREADY=1\n", daemon.pid);
        self.tell(&words).context(|| "the service manager".to_owned())
    }

    fn tell(&self, words: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(self.address)?)?;
        socket.send(words.as_bytes())?;
        // It lets go of its end when it has come to this message, and so to the one before.
        let (mut ours, theirs) = UnixStream::pair()?;
        let fds = [theirs.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        let barrier = [IoSlice::new(b"BARRIER=1")];
        sendmsg::<()>(socket.as_raw_fd(), &barrier, &control, MsgFlags::empty(), None)?;
        drop(theirs);
        ours.set_read_timeout(Some(PATIENCE))?;
        ours.read(&mut [0]).map(drop)
    }
}

/// A path, or after `@` a name in the kernel.
fn address(text: &OsStr) -> io::Result<SocketAddr> {
    match text.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_all_of_it_before_we_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let hears = std::thread::spawn(move || {
            let mut words = [0; 64];
            let heard = manager.recv(&mut words).unwrap();
            // The descriptor that comes with the second is closed for want of room.
            manager.recv(&mut [0; 64]).unwrap();
            String::from_utf8(words[..heard].to_vec()).unwrap()
        });
        Manager { address: &path.into_os_string() }.tell("READY=1\n").unwrap();
        assert_eq!(hears.join().unwrap(), "READY=1\n");
    }

    #[test]
    fn names_in_the_kernel_begin_with_an_at() {
        let found = address(OsStr::new("@keyrack")).unwrap();
        assert_eq!(found.as_abstract_name(), Some(&b"keyrack"[..]));
        assert_eq!(address(OsStr::new("/run/x")).unwrap().as_pathname(), Some("/run/x".as_ref()));
    }
}
